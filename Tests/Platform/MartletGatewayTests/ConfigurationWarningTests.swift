// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletJSON
internal import Testing

@Suite("What check warns of")
struct ConfigurationWarningTests {
    private func snapshot(_ text: String) throws -> RoutingSnapshot {
        try RoutingSnapshot(yaml: Array(text.utf8), file: "g")
    }

    private static let digest =
        "099295a3784e1bd368dc348843a7398c1931b6b8ec2504c73e91ed2040bdc46c"

    @Test("a circle of aliases and a key's missing authority are told once")
    func toldOnce() {
        #expect(
            ConfigurationTests.problems("aliases: {a: b, b: c, c: a}\nupstreams: {}\n") == [
                "g.yaml, line 1: aliases go in a circle: a → b → c → a"
            ])
        #expect(
            ConfigurationTests.problems(
                "keys: {node: {certificate: [CN=a, CN=b]}}\nupstreams: {u: \"http://x\"}\n"
                    + "models: {m: u}\n") == [
                    "g.yaml, line 1: key 'node' goes by a client certificate, and listen has no "
                        + "client_ca"
                ])
    }

    @Test("two circles of aliases are two problems")
    func twoCircles() {
        let found = ConfigurationTests.problems("aliases: {a: b, b: a, x: a, c: d, d: c}\n")
        #expect(found.count { $0.contains("in a circle") } == 2, "\(found)")
    }

    @Test("members of different protocols in a pool")
    func mixed() throws {
        func warnings(_ protocols: String) throws -> [String] {
            try snapshot(
                """
                upstreams: {a: "http://x", b: {url: "http://y", protocol: \(protocols)}}
                pools: {p: [a, b]}
                models: {m: p}
                """
            ).warnings
        }
        #expect(
            try warnings("grpc") == [
                "line 2: members of pool 'p' speak different protocols (openai, grpc): they cannot "
                    + "stand in for one another"
            ])
        #expect(try warnings("openai") == [])
    }

    @Test("a budget that a model without a price never ends")
    func free() throws {
        func warnings(_ key: String, _ price: String = "") throws -> [String] {
            try snapshot(
                """
                keys: {k: {sha256: \(Self.digest)\(key)}}
                upstreams: {u: "http://x"}
                models:
                  a: {versions: {v: u, w: {pool: u, price: {input: 1, output: 1}}}, default: v\(price)}
                  b: {versions: {v: u}, price: {input: 0, output: 0}}
                """
            ).warnings
        }
        let budget = ", budget: {amount: 5}"
        #expect(try warnings("") == [])
        let told = try warnings(budget)
        #expect(
            told.count == 1 && told[0].hasPrefix("line 4: version 'v' of model 'a' has no price"))
        #expect(try warnings(budget + ", models: [b]") == [])
        #expect(try warnings(budget + ", models: [a]").count == 1)
        #expect(try warnings(budget, ", price: {input: 1, output: 1}") == [])
    }

    @Test("a gate on feedback without a feedback section")
    func feedback() throws {
        let text = """
            upstreams: {u: "http://x", w: "http://y"}
            models:
              a: {versions: {v1: u, v2: w}, deliver: {from: v1, to: v2, feedback: {bad_below: 0.3}}}

            """
        #expect(
            try snapshot(text).warnings == [
                "line 3: deliver of model 'a' has a feedback gate, and there is no feedback "
                    + "section: its standard values hold"
            ])
        #expect(try snapshot(text + "feedback: {requests: 10}").warnings == [])
        #expect(
            try snapshot(text.replacing(", feedback: {bad_below: 0.3}", with: "")).warnings == [])
    }

    private static let surroundings = """
        listen: {certificate: c.pem, key: k.pem}
        state: {redis: "redis://h", password_env: REDIS_PASSWORD}
        jwt: {corp: {issuer: i, keys: jwks.json}}
        upstreams: {u: {url: "http://x", key_env: PAID_KEY}}
        models: {m: u}
        """

    @Test("variables and files that are not there are told")
    func missing() throws {
        let snapshot = try snapshot(Self.surroundings)
        #expect(snapshot.missing(hasVariable: { _ in true }, hasFile: { _ in true }) == [])
        let found = snapshot.missing(hasVariable: { _ in false }, hasFile: { $0 == "k.pem" })
        #expect(
            found.map { $0.prefix { $0 != ":" } } == [
                "upstream 'u'", "state", "listen", "jwt 'corp'",
            ])
        #expect(found[0].contains("PAID_KEY") && found[1].contains("REDIS_PASSWORD"))
    }

    @Test("a secret in the place of a variable's name is refused and not shown")
    func variableNames() {
        let found = ConfigurationTests.problems(
            Self.surroundings.replacing("PAID_KEY", with: "sk-live-PLANTED"))
        #expect(found.count == 1 && found[0].contains("key_env of upstream 'u' takes the name"))
        #expect(!found.joined().contains("PLANTED"))
    }

    @Test("what takes a restart is told, whatever was said beside the file")
    func restart() throws {
        let text = "upstreams: {u: \"http://x\"}\nmodels: {m: u}\nlisten: {port: 80, threads: 2}\n"
        let old = try snapshot(text).listening(host: "0.0.0.0", port: 0)
        #expect(try snapshot(text).changesForRestart(since: old) == [])
        #expect(
            try snapshot(text.replacing("threads: 2", with: "threads: 3"))
                .changesForRestart(since: old) == ["listen"])
        #expect(
            try snapshot(text + "log: {requests: false}\nfeedback: {}\naccounting: {state: f}\n")
                .changesForRestart(since: old) == ["log", "feedback", "accounting.state"])
        #expect(
            try snapshot(text.replacing("port: 80", with: "port: 81"))
                .changesForRestart(since: snapshot(text)) == ["listen"])
    }

    @Test("the admin API's port is another than the door's, and takes a restart")
    func adminDoor() throws {
        let text = "upstreams: {u: \"http://x\"}\nmodels: {m: u}\nlisten: {port: 80}\n"
        func admin(_ listen: String) -> String {
            text + "admin: {sha256: \(Self.digest), listen: \(listen)}\n"
        }
        let door = try snapshot(admin("{host: \"::1\", port: 9090}"))
        #expect(door.tables.listen.admin?.host == "::1" && door.tables.listen.admin?.port == 9_090)
        #expect(try door.changesForRestart(since: snapshot(text)) == ["listen"])
        for (listen, problem) in [("{port: 80}", "the same port"), ("{host: a}", "has no port")] {
            let found = ConfigurationTests.problems(admin(listen))
            #expect(found.count == 1 && found[0].contains(problem), "\(found)")
        }
    }

    @Test("queries are read as forms write them")
    func queries() throws {
        #expect(QueryText.value(of: "v", in: "a=1&v=a%20b") == "a b")
        #expect(QueryText.value(of: "v", in: "v=a+b&v=c") == "a b")
        #expect(QueryText.value(of: "k 1", in: "k%201=%C3%A9") == "é")
        #expect(QueryText.value(of: "v", in: "v=100%&w=%zz%4") == "100%")
        #expect(QueryText.value(of: "w", in: "v=100%&w=%zz%4") == "%zz%4")
        #expect(QueryText.value(of: "v", in: "v") == "" && QueryText.value(of: "x", in: "v") == nil)
        let description = try RequestDescription(["path": "/p?v=a%20b&w=1", "body": ["model": "m"]])
        #expect(description.value(.query("v")) == "a b" && description.path == "/p")
    }

    @Test("names that a key may say: models in order, then aliases")
    func names() throws {
        let snapshot = try snapshot(
            "upstreams: {u: \"http://x\"}\nmodels: {m: u, b: u}\naliases: {z: m, a: b}\n")
        #expect(snapshot.modelNames { _ in true }.map(\.name) == ["m", "b", "a", "z"])
        #expect(snapshot.modelNames { $0 == 0 }.map(\.name) == ["m", "z"])
    }

    @Test("ids of clients are taken when logs and headers can hold them")
    func ids() {
        for good in ["a", "7b1c-2", "0af7651916cd43dd", "job:7/a=1~b+c@d.e_f"] {
            #expect(RequestID.isWellFormed(good.utf8), "\(good)")
        }
        for bad in ["", "a b", "a\"b", "é", "a\r\nb", "a,b", String(repeating: "x", count: 129)] {
            #expect(!RequestID.isWellFormed(bad.utf8), "\(bad)")
        }
        #expect(RequestID.number("x", of: "k") != RequestID.number("x", of: "l"))
        #expect(RequestID.number(made: "00000000000000FF") == nil)
    }
}
