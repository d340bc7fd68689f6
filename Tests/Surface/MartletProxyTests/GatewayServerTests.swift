// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletGateway
internal import MartletProxy
internal import Testing

@Suite("GatewayServer")
struct GatewayServerTests {
    private static let answer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    private static let secret = "sk-alice"
    // printf %s sk-alice | sha256sum
    private static let digest =
        "099295a3784e1bd368dc348843a7398c1931b6b8ec2504c73e91ed2040bdc46c"

    private func yaml(_ ports: [Int], _ more: String = "") -> String {
        let names = ports.indices.map { "u\($0)" }
        let upstreams = zip(names, ports).map { "  \($0): http://127.0.0.1:\($1)" }
        return """
            listen: {port: 0}
            log: {requests: false}
            upstreams:
            \(upstreams.joined(separator: "\n"))
            pools:
              p: {members: [\(names.joined(separator: ", "))], attempts: 2, timeout: 400ms}
            models:
              m: {versions: {v1: {pool: p, model: real}}}
            \(more)
            """
    }

    /// Runs the gateway before scripted upstreams, with one client.
    private func withGateway(
        _ scripts: [[ScriptedUpstream.Reply]], _ more: String = "",
        _ body: (TestClient, [ScriptedUpstream], Int) async throws -> Void
    ) async throws {
        var upstreams: [ScriptedUpstream] = []
        for script in scripts { upstreams.append(try await .start(script)) }
        let text = yaml(upstreams.map(\.port), more)
        let snapshot = try RoutingSnapshot(yaml: Array(text.utf8), file: "test")
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = try GatewayServer(snapshot, logger: logger)
        let port = try await server.start()
        let client = try await TestClient.connect(port: port)
        do {
            try await body(client, upstreams, port)
        } catch {
            Issue.record(error)
        }
        await client.close()
        await server.stop()
        for upstream in upstreams { await upstream.stop() }
    }

    @Test("a request is routed by its model, renamed, and its answer relayed")
    func relays() async throws {
        try await withGateway([[.bytes(Self.answer)]]) { client, upstreams, _ in
            try await client.post("/v1/chat/completions", #"{"model":"m","x":1}"#)
            let answer = try await client.receive(until: "{}")
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"))
            #expect(answer.hasSuffix("\r\n\r\n{}"))
            let request = upstreams[0].requests.first ?? ""
            #expect(request.hasPrefix("POST /v1/chat/completions HTTP/1.1\r\n"))
            #expect(request.contains("X-Forwarded-For: 127.0.0.1\r\n"))
            #expect(request.contains("traceparent: 00-"))
            #expect(request.hasSuffix(#"{"model":"real","x":1}"#))
            #expect(request.contains("Content-Length: 22\r\n"))
        }
    }

    @Test("connections are kept on both sides, and pipelined requests answered in order")
    func keepsAlive() async throws {
        try await withGateway([[.bytes(Self.answer)]]) { client, upstreams, _ in
            let one = #"{"model":"m"}"#
            let request =
                "POST /v1/embeddings HTTP/1.1\r\nHost: g\r\nContent-Length: 13\r\n\r\n" + one
            try await client.send(request + request + request)
            _ = try await client.receive(until: "{}HTTP/1.1 200 OK")
            for _ in 0..<100 where upstreams[0].requests.count < 3 {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(upstreams[0].requests.count == 3)
            #expect(upstreams[0].closedConnections == 0)
        }
    }

    @Test("a 500 is asked again elsewhere; a 400 is not")
    func retries() async throws {
        let broken = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
        let wrong = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
        try await withGateway([[.bytes(broken)], [.bytes(broken), .bytes(wrong)]]) {
            client, upstreams, _ in
            try await client.post("/v1/embeddings", #"{"model":"m"}"#)
            #expect(try await client.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 500"))
            #expect(upstreams[0].requests.count == 1)
            #expect(upstreams[1].requests.count == 1)
            client.forget()
            try await client.post("/v1/embeddings", #"{"model":"m"}"#)
            let answer = try await client.receive(until: "\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 400"))
            #expect(upstreams[1].requests.count == 2)
        }
    }

    @Test("what changes something is not asked twice once it has left")
    func repeatsOnlyWhatMayBe() async throws {
        try await withGateway([[.bytesThenClose("")], [.bytesThenClose("")]]) {
            client, upstreams, _ in
            try await client.post("/v1/images/generations", #"{"model":"m"}"#)
            #expect(try await client.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 502"))
            #expect(upstreams[0].requests.count + upstreams[1].requests.count == 1)
        }
    }

    @Test("a stream that is cut ends in an error and never in a last chunk")
    func cutStream() async throws {
        let start =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n"
        let event =
            #"data: {"choices":[{"delta":{"content":"x"},"finish_reason":null}]}"# + "\n\n"
        let chunk = String(event.utf8.count, radix: 16) + "\r\n" + event + "\r\n"
        for ending in ["", "0\r\n\r\n", "zz\r\n"] {
            try await withGateway([[.twoPieces(start + chunk, ending)]]) { client, _, _ in
                try await client.post(
                    "/v1/chat/completions", #"{"model":"m","stream":true}"#)
                #expect(try await client.isClosed())
                let answer = try await client.receive(until: "never")
                #expect(answer.contains("upstream_stream_cut"))
                #expect(!answer.hasSuffix("0\r\n\r\n"))
            }
        }
    }

    @Test("a client that goes takes its upstream request with it, within 50 ms")
    func cancels() async throws {
        try await withGateway([[.silence]]) { first, upstreams, port in
            await first.close()
            var times: [Duration] = []
            // The clocks are read on the event loops: a test's own task may not run for a second
            // while other suites have the cooperative pool. They have the processors too, so one
            // of a few tries has to hold; without cancelling none would within the 400 ms that an
            // attempt may take.
            for turn in 0..<5 where times.min() ?? .seconds(1) >= .milliseconds(50) {
                let client = try await TestClient.connect(port: port)
                try await client.post("/v1/embeddings", #"{"model":"m"}"#)
                for _ in 0..<1_000 where upstreams[0].requests.count <= turn {
                    try await Task.sleep(for: .milliseconds(1))
                }
                let left = try await client.closeNow()
                for _ in 0..<5_000 where upstreams[0].closings.count <= turn {
                    try await Task.sleep(for: .milliseconds(1))
                }
                let closing = try #require(upstreams[0].closings.dropFirst(turn).first)
                times.append(left.duration(to: closing))
            }
            #expect(times.min() ?? .seconds(1) < .milliseconds(50), "\(times)")
        }
    }

    @Test("an upstream that stays silent is given up in its time")
    func timesOut() async throws {
        try await withGateway([[.silence]]) { client, _, _ in
            try await client.post("/v1/images/generations", #"{"model":"m"}"#)
            #expect(try await client.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 504"))
        }
    }

    @Test("a kept answer is given again, and a stream as a stream")
    func caches() async throws {
        let stream =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            + "Transfer-Encoding: chunked\r\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
        let more = "  n: {versions: {v1: {pool: p}}, cache: {ttl: 1m}}"
        try await withGateway([[.bytes(Self.answer), .bytes(stream)]], more) {
            client, upstreams, _ in
            let body = #"{"model":"n","temperature":0}"#
            try await client.post("/v1/chat/completions", body)
            #expect(try await client.receive(until: "{}").contains("X-Cache: miss\r\n"))
            client.forget()
            try await client.post("/v1/chat/completions", body)
            let hit = try await client.receive(until: "{}")
            #expect(hit.contains("X-Cache: hit\r\n") && hit.contains("Age: 0\r\n"))
            #expect(hit.contains("Content-Type: application/json\r\n"))
            let streamed = #"{"model":"n","temperature":0,"stream":true}"#
            for result in ["miss", "hit"] {
                client.forget()
                try await client.post("/v1/chat/completions", streamed)
                let answer = try await client.receive(until: "0\r\n\r\n")
                #expect(answer.contains("X-Cache: \(result)\r\n"))
                #expect(answer.hasSuffix("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"))
            }
            #expect(upstreams[0].requests.count == 2)
        }
    }

    @Test("keys are asked for, limited, and never passed on")
    func keys() async throws {
        let more = """
            keys:
              alice: {sha256: \(Self.digest), limits: {requests: {max: 1, per: 60s}}}
            """
        try await withGateway([[.bytes(Self.answer)]], more) { client, upstreams, _ in
            try await client.post("/v1/embeddings", #"{"model":"m"}"#)
            #expect(try await client.receive(until: "}}").hasPrefix("HTTP/1.1 401"))
            client.forget()
            try await client.post(
                "/v1/embeddings", #"{"model":"m"}"#, headers: "Authorization: Bearer wrong\r\n")
            #expect(try await client.receive(until: "}}").contains("invalid_api_key"))
            #expect(upstreams[0].requests.isEmpty)
            client.forget()
            let known = "Authorization: Bearer \(Self.secret)\r\n"
            try await client.post("/v1/embeddings", #"{"model":"m"}"#, headers: known)
            #expect(try await client.receive(until: "{}").hasPrefix("HTTP/1.1 200"))
            #expect(upstreams[0].requests.allSatisfy { !$0.contains(Self.secret) })
            client.forget()
            try await client.post("/v1/embeddings", #"{"model":"m"}"#, headers: known)
            let refused = try await client.receive(until: "}}")
            #expect(refused.hasPrefix("HTTP/1.1 429"))
            #expect(refused.contains("Retry-After: 60"))
        }
    }
}
