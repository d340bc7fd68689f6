// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletGateway
internal import MartletProxy
internal import Testing

@Suite("What the gateway says of itself")
struct GatewayListingTests {
    private static let answer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    // printf %s sk-alice | sha256sum
    private static let digest =
        "099295a3784e1bd368dc348843a7398c1931b6b8ec2504c73e91ed2040bdc46c"
    // printf %s sk-bob | sha256sum
    private static let other =
        "36c76b48bb2ee1d9d37140550e9d7ed7d395cf56f41050dc2a72e5291c0011f0"

    private static func reply(_ body: String) -> ScriptedUpstream.Reply {
        .bytes(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                + "\(body.utf8.count)\r\n\r\n\(body)")
    }

    /// Runs a gateway before scripted upstreams; `PORT0` and so on in the rules are theirs.
    private func withGateway(
        _ rules: String, _ scripts: [[ScriptedUpstream.Reply]] = [[.bytes(answer)]],
        _ body: (TestClient, [ScriptedUpstream]) async throws -> Void
    ) async throws {
        var upstreams: [ScriptedUpstream] = []
        for script in scripts { upstreams.append(try await .start(script)) }
        var text = "listen: {port: 0}\nlog: {requests: false}\n" + rules
        for (index, upstream) in upstreams.enumerated() {
            text = text.replacing("PORT\(index)", with: "\(upstream.port)")
        }
        let snapshot = try RoutingSnapshot(yaml: Array(text.utf8), file: "test")
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = try GatewayServer(snapshot, logger: logger, version: "9.9")
        let client = try await TestClient.connect(port: try await server.start())
        do {
            try await body(client, upstreams)
        } catch {
            Issue.record(error)
        }
        await client.close()
        await server.stop()
        for upstream in upstreams { await upstream.stop() }
    }

    /// One whole answer with a short body.
    private func ask(
        _ client: TestClient, _ method: String, _ path: String, _ headers: String = "",
        _ body: String = ""
    ) async throws -> String {
        client.forget()
        let length = body.isEmpty ? "" : "Content-Length: \(body.utf8.count)\r\n"
        try await client.send(
            "\(method) \(path) HTTP/1.1\r\nHost: g\r\n\(length)\(headers)\r\n\(body)")
        for _ in 0..<500 {
            let text = try await client.receive(until: "\r\n\r\n")
            let wanted =
                text.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
                .flatMap { Int($0.dropFirst(16)) } ?? 0
            if let head = text.firstRange(of: "\r\n\r\n"),
                text[head.upperBound...].utf8.count >= wanted
            {
                return text
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        return ""
    }

    @Test("models and aliases are listed, those that the key may use")
    func models() async throws {
        let rules = """
            keys: {all: {sha256: \(Self.digest)}, few: {sha256: \(Self.other), models: [b]}}
            upstreams: {u: "http://127.0.0.1:PORT0"}
            models: {a: u, b: u, org/c: u}
            aliases: {z: b}
            """
        try await withGateway(rules) { client, upstreams in
            let all = "Authorization: Bearer sk-alice\r\n"
            let listed = try await ask(client, "GET", "/v1/models", all)
            #expect(listed.contains("\"object\":\"list\""))
            let names = listed.split(separator: "\"id\":\"").dropFirst().map {
                String($0.prefix { $0 != "\"" })
            }
            #expect(names == ["a", "b", "org/c", "z"], "\(listed)")
            #expect(listed.contains("\"root\":\"b\""))
            let one = try await ask(client, "GET", "/v1/models/org%2Fc", all)
            #expect(one.hasPrefix("HTTP/1.1 200") && one.contains("\"id\":\"org/c\""))
            let none = try await ask(client, "GET", "/v1/models/nix", all)
            #expect(none.hasPrefix("HTTP/1.1 404") && none.contains("model_not_found"))
            let few = try await ask(client, "GET", "/v1/models", "X-Api-Key: sk-bob\r\n")
            #expect(few.contains("\"id\":\"b\"") && few.contains("\"id\":\"z\""))
            #expect(!few.contains("\"id\":\"a\""), "\(few)")
            #expect(try await ask(client, "GET", "/v1/models").hasPrefix("HTTP/1.1 401"))
            #expect(upstreams[0].requests.isEmpty)
        }
    }

    @Test("the server describes itself, its repository and whether anybody can be asked")
    func server() async throws {
        let rules = """
            upstreams: {u: "http://127.0.0.1:PORT0", none: {local: nothing}}
            models: {a: {versions: {v1: u, v2: none}, default: v1}}
            aliases: {z: a}
            """
        try await withGateway(rules) { client, upstreams in
            let server = try await ask(client, "GET", "/v2")
            #expect(server.contains(#""name":"martlet-gateway","version":"9.9""#), "\(server)")
            #expect(try await ask(client, "GET", "/v2/health/live").hasPrefix("HTTP/1.1 200"))
            #expect(try await ask(client, "GET", "/v2/health/ready").hasPrefix("HTTP/1.1 200"))
            let index = try await ask(client, "POST", "/v2/repository/index")
            #expect(index.split(separator: "\"READY\"").count == 3, "\(index)")
            #expect(index.split(separator: "\"UNAVAILABLE\"").count == 3, "\(index)")
            #expect(index.contains(#""name":"z","version":"v1""#))
            let ready = try await ask(
                client, "POST", "/v2/repository/index", "", #"{"ready":true}"#)
            #expect(ready.contains("\"READY\"") && !ready.contains("UNAVAILABLE"), "\(ready)")
            let wrong = try await ask(client, "POST", "/v2/repository/index", "", "[1]")
            #expect(wrong.hasPrefix("HTTP/1.1 400"))
            #expect(upstreams[0].requests.isEmpty)
        }
        try await withGateway("upstreams: {none: {local: nothing}}\nmodels: {a: none}\n") {
            client, _ in
            let ready = try await ask(client, "GET", "/v2/health/ready")
            #expect(ready.hasPrefix("HTTP/1.1 400") && ready.contains("no upstream"), "\(ready)")
            #expect(try await ask(client, "GET", "/v2/health/live").hasPrefix("HTTP/1.1 200"))
        }
    }

    private static let plain = "upstreams: {u: \"http://127.0.0.1:PORT0\"}\nmodels: {m: u}\n"

    @Test("what inference lacks is a client's mistake, and each is named")
    func mistakes() async throws {
        try await withGateway(Self.plain) { client, upstreams in
            func check(_ body: String, _ code: String) async throws {
                let text = try await ask(client, "POST", "/v1/chat/completions", "", body)
                #expect(text.hasPrefix("HTTP/1.1 400") && text.contains(code), "\(body): \(text)")
            }
            try await check("hello", "invalid_json")
            try await check("[]", "invalid_json")
            try await check("{}", "missing_model")
            try await check(#"{"model":7}"#, "missing_model")
            let none = try await ask(
                client, "POST", "/v1/chat/completions", "Content-Length: 0\r\n")
            #expect(none.hasPrefix("HTTP/1.1 400") && none.contains("missing_body"), "\(none)")
            let elsewhere = try await ask(client, "POST", "/v1/other", "", "{}")
            #expect(elsewhere.hasPrefix("HTTP/1.1 404") && elsewhere.contains("no_route"))
            let feedback = try await ask(client, "POST", "/v1/feedback", "", "{}")
            #expect(feedback.hasPrefix("HTTP/1.1 404") && feedback.contains("no_feedback"))
            let late = try await ask(
                client, "POST", "/v1/embeddings", "X-Request-Timeout: abc\r\n", #"{"model":"m"}"#)
            #expect(late.hasPrefix("HTTP/1.1 400") && late.contains("X-Request-Timeout"), "\(late)")
            #expect(upstreams[0].requests.isEmpty)
        }
    }

    @Test("a body that names its model too late is told how to do better")
    func lateModel() async throws {
        try await withGateway(Self.plain) { client, _ in
            let long = String(repeating: "x", count: 9 << 20)
            client.forget()
            try await client.send(
                "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Length: "
                    + "\(long.utf8.count + 30)\r\n\r\n{\"messages\":\"" + long)
            let text = try await client.receive(until: "}}")
            #expect(text.hasPrefix("HTTP/1.1 413"), "\(text)")
            #expect(text.contains("listen.searched_bytes"), "\(text)")
        }
    }

    @Test("the client's own id is the request's, everywhere; one that is none is replaced")
    func ids() async throws {
        try await withGateway(Self.plain) { client, upstreams in
            func id(_ given: String) async throws -> (answer: String, upstream: String) {
                let text = try await ask(
                    client, "POST", "/v1/embeddings", given, #"{"model":"m"}"#)
                func found(_ text: String) -> String {
                    text.split(separator: "\r\n").first { $0.hasPrefix("X-Request-Id: ") }
                        .map { String($0.dropFirst(14)) } ?? ""
                }
                return (found(text), found(upstreams[0].requests.last ?? ""))
            }
            let own = try await id("X-Request-Id: job-7/a\r\n")
            #expect(own.answer == "job-7/a" && own.upstream == "job-7/a")
            for given in ["", "X-Request-Id: a b\r\n", "X-Request-Id: \"q\"\r\n"] {
                let made = try await id(given)
                #expect(made.answer == made.upstream && made.answer.count == 16, "\(made)")
            }
            // An answer of the gateway's own has it too.
            let refused = try await ask(
                client, "POST", "/v1/embeddings", "X-Request-Id: mine\r\n", #"{"model":"nix"}"#)
            #expect(refused.contains("X-Request-Id: mine\r\n"))
        }
    }

    @Test("feedback finds an answer by the client's own id")
    func feedback() async throws {
        try await withGateway(Self.plain + "feedback: {requests: 10}\n") { client, _ in
            for id in ["job-7", "00000000000000aa"] {
                _ = try await ask(
                    client, "POST", "/v1/embeddings", "X-Request-Id: \(id)\r\n", #"{"model":"m"}"#)
                let verdict = "{\"request_id\":\"\(id)\",\"score\":1}"
                let taken = try await ask(client, "POST", "/v1/feedback", "", verdict)
                #expect(taken.hasPrefix("HTTP/1.1 200"), "\(taken)")
                let again = try await ask(client, "POST", "/v1/feedback", "", verdict)
                #expect(again.hasPrefix("HTTP/1.1 409"), "\(again)")
            }
        }
    }

    @Test("the admin API can have a port of its own, and is nowhere else then")
    func adminDoor() async throws {
        let text =
            "listen: {port: 0}\nlog: {requests: false}\nadmin: {sha256: \(Self.digest), "
            + "listen: {port: 0}}\nupstreams: {u: \"http://127.0.0.1:9\"}\nmodels: {m: u}\n"
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = try GatewayServer(
            RoutingSnapshot(yaml: Array(text.utf8), file: "test"), logger: logger)
        let door = try await TestClient.connect(port: try await server.start())
        let admin = try await TestClient.connect(port: server.adminPort)
        let key = "Authorization: Bearer sk-alice\r\n"
        for path in ["/metrics", "/admin/usage"] {
            #expect(try await ask(admin, "GET", path, key).hasPrefix("HTTP/1.1 200"), "\(path)")
            #expect(try await ask(door, "GET", path, key).hasPrefix("HTTP/1.1 404"), "\(path)")
        }
        #expect(try await ask(door, "GET", "/healthz").hasPrefix("HTTP/1.1 200"))
        await door.close()
        await admin.close()
        await server.stop()
    }

    @Test("rules see queries as they are meant")
    func queries() async throws {
        let rules =
            Self.plain + """
                routes: [{name: r, match: {model: m, query: {v: "a b"}}, refuse: {status: 418, message: seen}}]

                """
        try await withGateway(rules) { client, _ in
            for query in ["v=a%20b", "w=1&v=a+b"] {
                let text = try await ask(
                    client, "POST", "/v1/embeddings?\(query)", "", #"{"model":"m"}"#)
                #expect(text.hasPrefix("HTTP/1.1 418"), "\(query): \(text)")
            }
        }
    }

    @Test("a change that takes a restart says so")
    func restart() async throws {
        let rules = Self.plain + "admin: {sha256: \(Self.digest)}\n"
        try await withGateway(rules) { client, _ in
            let admin = "Authorization: Bearer sk-alice\r\n"
            let changed =
                "listen: {port: 1, threads: 7}\nadmin: {sha256: \(Self.digest)}\n"
                + "upstreams: {u: \"http://127.0.0.1:9\"}\nmodels: {m: u}\n"
            let text = try await ask(client, "PUT", "/admin/config", admin, changed)
            #expect(text.hasPrefix("HTTP/1.1 200"))
            #expect(text.contains("listen has changed: that takes a restart"), "\(text)")
            #expect(text.contains("log has changed"))
        }
    }

    private static let mixed = """
        upstreams:
          embeddings: "http://127.0.0.1:PORT0"
          little: "http://127.0.0.1:PORT1"
          great: "http://127.0.0.1:PORT2"
          candidate: "http://127.0.0.1:PORT3"
        models:
          m:
            versions: {little: little, great: great, next: candidate}
            cascade: {first: little, then: great, confidence: {field: sure, min: 0.5}}
            semantic_cache: {embeddings: embeddings, model: e, threshold: 0.9}
            shadow: {to: next, percent: 100}
        admin: {sha256: \(digest)}

        """

    @Test(
        "a cascade's answers are kept by meaning, whichever model gave them",
        arguments: [true, false])
    func cascadeAndMeaning(isSure: Bool) async throws {
        let little = isSure ? #"{"sure":0.9,"from":"little"}"# : #"{"sure":0.1,"from":"little"}"#
        let scripts: [[ScriptedUpstream.Reply]] = [
            [Self.reply(#"{"data":[{"index":0,"embedding":[1.0,0.5]}]}"#)],
            [Self.reply(little)], [Self.reply(#"{"from":"great"}"#)],
            [Self.reply(#"{"from":"next"}"#)],
        ]
        try await withGateway(Self.mixed, scripts) { client, upstreams in
            let body = #"{"model":"m","messages":[{"role":"user","content":"why"}]}"#
            let first = try await ask(client, "POST", "/v1/chat/completions", "", body)
            let wanted = isSure ? "\"from\":\"little\"" : "{\"from\":\"great\"}"
            #expect(first.contains(wanted) && !first.contains("X-Martlet-Cache"), "\(first)")
            let second = try await ask(client, "POST", "/v1/chat/completions", "", body)
            #expect(second.contains(wanted) && second.contains("X-Martlet-Cache"), "\(second)")
            #expect(upstreams[0].requests.count == 2 && upstreams[1].requests.count == 1)
            #expect(upstreams[2].requests.count == (isSure ? 0 : 1))
            // The first was shadowed; what memory answered was not.
            for _ in 0..<200 where upstreams[3].requests.isEmpty {
                try await Task.sleep(for: .milliseconds(5))
            }
            try await Task.sleep(for: .milliseconds(50))
            #expect(upstreams[3].requests.count == 1)
        }
    }

    @Test("candidates that refuse or are late are in the report, with the reason")
    func failedCandidates() async throws {
        let rules = """
            upstreams: {u: "http://127.0.0.1:PORT0", slow: "http://127.0.0.1:PORT1", gone: "http://127.0.0.1:1"}
            pools: {late: {members: [slow], timeout: 100ms}}
            models:
              m: {versions: {v1: u, v2: gone}, default: v1, shadow: {to: v2, percent: 100}}
              n: {versions: {v1: u, v2: late}, default: v1, shadow: {to: v2, percent: 100}}
            admin: {sha256: \(Self.digest)}

            """
        try await withGateway(rules, [[.bytes(Self.answer)], [.silence]]) { client, _ in
            for (model, reason) in [("m", "cannot connect"), ("n", "no answer within 100.0 ms")] {
                _ = try await ask(
                    client, "POST", "/v1/embeddings", "", "{\"model\":\"\(model)\"}")
                var report = ""
                for _ in 0..<200 where !report.hasPrefix("HTTP/1.1 200") {
                    try await Task.sleep(for: .milliseconds(5))
                    report = try await ask(
                        client, "GET", "/admin/compare/\(model)",
                        "Authorization: Bearer sk-alice\r\n")
                }
                #expect(report.contains("the candidate gave no answer to 1 more requests"))
                #expect(report.contains("\"failures\":{\"\(reason)"), "\(report)")
            }
        }
    }
}
