// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletJSON
internal import Testing

@Suite("Routing")
struct RoutingTests {
    static let rules = """
        upstreams: {a: "http://a", b: "http://b"}
        models:
          big: {versions: {v1: a, v2: b}, default: v1, fallback: tiny}
          tiny: {versions: {v1: a, v2: b}, split: {by: user, to: {v1: 75, v2: 25}}}
        aliases: {huge: big}
        routes:
          - {name: blocked, match: {user: [eve, mallory]}, refuse: {status: 403, message: go away}}
          - {name: header, match: {model: big, header: {x-beta: "1"}}, version: v2}
          - {name: region, match: {model: big, region: "eu-*", tenant: acme}, version: v2}
          - {name: field, match: {model: big, field: {messages.0.role: system}}, version: v2}
          - {name: no-session, match: {model: big, session: null, query: {debug: "*"}}, version: v2}
          - {name: tenth, match: {model: big, percent: {by: user, below: 10}, device: phone}, version: v2}
          - {name: glob, match: {model: "gpt-*"}, model: tiny}
          - {name: files, match: {path: /v1/files}, refuse: {status: 501}}
          - {name: under, match: {path: "/admin/*", method: DELETE}, refuse: {status: 405}}
          - {name: deep, match: {path: "/admin/models/*"}, refuse: {status: 404}}
        """

    static func snapshot() throws -> RoutingSnapshot {
        try RoutingSnapshot(yaml: Array(rules.utf8), file: "g")
    }

    /// "rule → model/version", as `explain` and `route` agree on.
    private func way(_ json: String) throws -> String {
        let snapshot = try RoutingTests.snapshot()
        let description = try RequestDescription(JSONValue(parsing: json))
        let explanation = snapshot.explain(description, draw: 7)
        let request = snapshot.request(model: description.model, description.value)
        #expect(snapshot.route(request, draw: 7) == explanation.decision)
        let rule = explanation.decision.rule.map { snapshot.tables.rules[$0].name } ?? "-"
        switch explanation.decision.outcome {
        case .version(let index):
            let version = snapshot.tables.versions[index]
            return "\(rule) \(snapshot.tables.models[version.model].name)/\(version.label)"
        case .refused(let index): return "\(rule) \(snapshot.tables.refusals[index].status)"
        case .unknownModel: return "\(rule) unknown"
        }
    }

    @Test(
        "each kind of rule takes what it should, in the file's order",
        arguments: [
            (#"{"model": "big"}"#, "- big/v1"),
            (#"{"model": "huge", "headers": {"X-Beta": "1"}}"#, "header big/v2"),
            (#"{"model": "big", "headers": {"x-beta": "2"}}"#, "- big/v1"),
            (#"{"model": "big", "headers": {"x-beta": "1"}, "user": "eve"}"#, "blocked 403"),
            (#"{"model": "big", "region": "eu-west", "tenant": "acme"}"#, "region big/v2"),
            (#"{"model": "big", "region": "us-west", "tenant": "acme"}"#, "- big/v1"),
            (#"{"body": {"model": "big", "messages": [{"role": "system"}]}}"#, "field big/v2"),
            (#"{"body": {"model": "big", "messages": [{"role": "user"}]}}"#, "- big/v1"),
            (#"{"model": "big", "path": "/v1/x?debug=1"}"#, "no-session big/v2"),
            (#"{"model": "big", "path": "/v1/x?debug=1", "session": "s"}"#, "- big/v1"),
            (#"{"path": "/v2/models/big/infer"}"#, "- big/v1"),
            (#"{"model": "gpt-9", "user": "u"}"#, "glob tiny/v1"),
            (#"{"model": "nothing"}"#, "- unknown"), (#"{}"#, "- unknown"),
            (#"{"path": "/v1/files"}"#, "files 501"), (#"{"path": "/v1/files/x"}"#, "- unknown"),
            (#"{"path": "/admin/models/x", "method": "DELETE"}"#, "under 405"),
            (#"{"path": "/admin/models/x"}"#, "deep 404"), (#"{"path": "/admin"}"#, "- unknown"),
        ])
    func rules(request: String, expected: String) throws {
        #expect(try way(request) == expected)
    }

    @Test("a user stays at one version, and the shares come out as configured")
    func sticky() throws {
        let snapshot = try RoutingTests.snapshot()
        var counts = [Int](repeating: 0, count: snapshot.tables.versions.count)
        for user in 0..<20_000 {
            var request = snapshot.request(model: "tiny") { $0 == .user ? "u\(user)" : nil }
            let first = snapshot.route(request, draw: 1)
            request.values[0] = "/another/path"
            #expect(snapshot.route(request, draw: 2) == first)
            if case .version(let version) = first.outcome { counts[version] += 1 }
        }
        // Binomial: 61 is one standard deviation.
        #expect(abs(counts[3] - 5_000) < 300, "\(counts)")
        #expect(counts[2] + counts[3] == 20_000)
    }

    @Test("without a key the draw decides, and the decision says so")
    func drawn() throws {
        let snapshot = try RoutingTests.snapshot()
        let request = snapshot.request(model: "tiny") { _ in nil }
        var random = SystemRandomNumberGenerator()
        var second = 0
        for _ in 0..<4_000 {
            let decision = snapshot.route(request, draw: random.next())
            #expect(!decision.isSticky)
            if decision.outcome == .version(3) { second += 1 }
        }
        #expect((700...1_300).contains(second), "\(second)")
    }

    @Test("raising a canary's share never takes a user out of it")
    func monotone() throws {
        let text = """
            upstreams: {a: "http://a"}
            models:
              m:
                versions: {old: a, new: a}
                split: {by: user, experiment: roll, to: {new: 0, old: 100}}
            """
        var snapshot = try RoutingSnapshot(yaml: Array(text.utf8), file: "g")
        var inside: Set<Int> = []
        for percent in [1, 5, 25, 60, 100] {
            let changed = snapshot.settingShares(
                ["new": percent * 10_000, "old": 1_000_000 - percent * 10_000],
                experiment: "roll")
            snapshot = try #require(changed)
            var now: Set<Int> = []
            for user in 0..<5_000 {
                let request = snapshot.request(model: "m") { $0 == .user ? "u\(user)" : nil }
                if snapshot.route(request, draw: 0).outcome == .version(1) { now.insert(user) }
            }
            #expect(inside.isSubset(of: now))
            #expect(abs(now.count - percent * 50) <= 150, "\(percent) %: \(now.count)")
            inside = now
        }
        #expect(snapshot.settingShares(["new": 1], experiment: "roll") == nil)
        #expect(snapshot.settingShares(["new": 5, "old": 5], experiment: "roll") == nil)
        #expect(
            snapshot.settingShares(["new": .max, "old": .max], experiment: "roll") == nil)
    }

    @Test("an explanation names every rule that was looked at, and why")
    func explanation() throws {
        let snapshot = try RoutingTests.snapshot()
        let description = try RequestDescription(
            JSONValue(parsing: #"{"model": "huge", "user": "u-42", "headers": {"x-beta": "0"}}"#))
        let text = snapshot.explain(description, draw: 0).text
        for expected in [
            "model            'huge', an alias of 'big'",
            "rule blocked     line 7: no, user is 'u-42', must be one of 'eve', 'mallory'",
            "rule header      line 8: no, header x-beta is '0', must be '1'",
            "rule region      line 9: no, region is not there, must be 'eu-…'",
            "default          no rule matches; the model's own way is taken",
            "answer           model 'big', version 'v1'", "pool             a, least_loaded: a",
            "fallback         tiny",
        ] {
            #expect(text.contains(expected), "\(text)")
        }
    }

    @Test(
        "a request that is written down wrongly is refused with the member's name",
        arguments: [
            ("[]", "must be a JSON object"), (#"{"modle": 1}"#, "did you mean 'model'?"),
            (#"{"headers": {"a": 1}}"#, "'a' in 'headers'"), (#"{"user": 1}"#, "'user'"),
        ])
    func badRequests(json: String, expected: String) throws {
        let value = try JSONValue(parsing: json)
        let error = #expect(throws: RequestDescriptionError.self) {
            _ = try RequestDescription(value)
        }
        #expect(error?.message.contains(expected) == true)
    }

    @Test("10 000 routes load quickly and cost a request no more than ten do")
    func scale() throws {
        func text(_ count: Int) -> [UInt8] {
            var text = "upstreams:\n  u: http://x\nmodels:\n"
            for index in 0..<count { text += "  model-\(index): u\n" }
            text += "routes:\n"
            for index in 0..<count {
                text += "- {match: {model: model-\(index), tenant: t\(index)}, version: 1}\n"
            }
            return Array(text.utf8)
        }
        let clock = ContinuousClock()
        let bytes = text(10_000)
        var best = Duration.seconds(1_000)
        var large: RoutingSnapshot?
        for _ in 0..<3 {
            best = min(
                best, try clock.measure { large = try RoutingSnapshot(yaml: bytes, file: "g") })
        }
        print10k("10 000 routes, \(bytes.count) bytes: loaded in \(best)")
        #expect(best < .milliseconds(400), "\(best)")
        let big = try #require(large)
        let small = try RoutingSnapshot(yaml: text(10), file: "g")
        func cost(_ snapshot: RoutingSnapshot, _ model: String) -> Duration {
            let request = snapshot.request(model: model) { $0 == .tenant ? "t9" : nil }
            var best = Duration.seconds(1_000)
            for _ in 0..<5 {
                let time = clock.measure {
                    for draw in 0..<UInt64(20_000) {
                        precondition(snapshot.route(request, draw: draw).outcome != .unknownModel)
                    }
                }
                best = min(best, time)
            }
            return best / 20_000
        }
        let costs = (cost(small, "model-9"), cost(big, "model-9999"))
        print10k("a decision among 10 routes \(costs.0), among 10 000 \(costs.1)")
        #expect(costs.1 < costs.0 * 4 + .microseconds(1))
    }

    private func print10k(_ text: String) { print(text) }

    @Test("readers see a change at once, and roll back to what was before")
    func store() throws {
        let first = try RoutingTests.snapshot()
        let second = try RoutingTests.snapshot()
        let store = RoutingStore(first, historyMax: 1)
        var reader = store.makeReader()
        #expect(reader.read { $0 === first } == true)
        store.publish(second)
        #expect(reader.read { $0 === second } == true)
        let isBack = store.rollBack()
        #expect(isBack)
        #expect(reader.read { $0 === first } == true)
        let again = store.rollBack()
        #expect(!again)
    }
    @Test("a reader keeps what it has alive until it turns to another")
    func lifetime() throws {
        weak var first: RoutingSnapshot?
        let store: RoutingStore
        var reader: SnapshotReader<RoutingSnapshot>
        do {
            let snapshot = try RoutingTests.snapshot()
            first = snapshot
            store = RoutingStore(snapshot, historyMax: 0)
            reader = store.makeReader()
        }
        store.publish(try RoutingTests.snapshot())
        let isOld = !reader.isCurrent
        #expect(isOld)
        #expect(first != nil)
        let isStillFirst = reader.borrow { $0 === first }
        #expect(isStillFirst)
        reader.update()
        let isNew = reader.isCurrent
        #expect(isNew)
        #expect(first == nil)
    }
}
