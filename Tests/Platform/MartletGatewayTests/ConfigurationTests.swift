// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletResilience
internal import MartletYAML
internal import Testing

@Suite("Gateway configuration")
struct ConfigurationTests {
    static let good = """
        upstreams:
          small: http://10.0.0.1:8000
          small-b: "http://10.0.0.2:8000/base/"
          here: {local: tiny}
        pools:
          chat:
            members: [small, {upstream: small-b, weight: 3, priority: 1}]
            balance: power_of_two
            timeout: 30s
            breaker: {failure_share: 0.4, slow_call: 2s}
        models:
          gpt-small:
            versions:
              v1: chat
              v2: {pool: here, model: gpt-small-2, price: {input: 0.1, output: 0.4}}
            split: {by: user, experiment: checkout, to: {v1: 90, v2: 10}}
            price: {input: 0.15, output: 0.60}
            fallback: tiny
          tiny: here
        aliases:
          small: gpt-small
          smallest: small
        routes:
          - name: beta
            match: {model: small, header: {X-Beta: "1"}}
            version: v2
          - name: closed
            match: {path: "/v1/files/*"}
            refuse: {status: 404, message: no files here}
        """

    static func problems(_ text: String) -> [String] {
        do throws(GatewayConfigurationError) {
            _ = try RoutingSnapshot(yaml: Array(text.utf8), file: "g.yaml")
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    @Test("a good file is compiled whole")
    func good() throws {
        let snapshot = try RoutingSnapshot(
            yaml: Array(ConfigurationTests.good.utf8), file: "g.yaml")
        #expect(snapshot.warnings == [])
        let tables = snapshot.tables
        #expect(tables.versions.map(\.label) == ["v1", "v2", "1"])
        #expect(tables.versions.map(\.remoteModel) == ["gpt-small", "gpt-small-2", "tiny"])
        #expect(tables.versions[0].price?.output == 600_000)
        #expect(tables.versions[1].price?.input == 100_000)
        #expect(tables.pools.map(\.name) == ["chat", "here"])
        #expect(tables.pools[0].policy.breaker.slowCall == .seconds(2))
        #expect(tables.pools[0].policy.timeout == .seconds(30))
        #expect(
            tables.upstreams[1].address
                == .remote(scheme: "http", host: "10.0.0.2", port: 8_000, path: "/base"))
    }

    @Test(
        "each mistake is named with its line",
        arguments: [
            (
                "upstrems: {}",
                "line 1: unknown key 'upstrems' in gateway.yaml; did you mean 'upstreams'?"
            ),
            ("upstreams:\n  a: ftp://x", "line 2: upstream 'a' has the address 'ftp://x'"),
            ("upstreams:\n  a: http://x:99999", "line 2: upstream 'a' has the address"),
            (
                "upstreams:\n  a: {protocol: openai}",
                "line 2: upstream 'a' needs either url or local"
            ),
            (
                "upstreams:\n  a: {url: 'http://x', protocol: openia}",
                "line 2: protocol of upstream 'a' is one of openai, kserve, grpc, got 'openia'; did you mean 'openai'?"
            ),
            (
                "upstreams:\n  a: http://x\npools:\n  p: [a, b]",
                "line 4: pool 'p' names the unknown upstream 'b'"
            ),
            ("pools:\n  p: []", "line 2: pool 'p' has no members"),
            (
                "upstreams:\n  a: http://x\npools:\n  p: {members: [a], timeout: soon}",
                "line 4: timeout of pool 'p' takes a time such as 250ms, 30s, 5m or 1h, got 'soon'"
            ),
            (
                "upstreams:\n  a: http://x\npools:\n  p: {members: [a], balance: hash}",
                "line 4: pool 'p' balances by hash but has no hash_key"
            ),
            ("models:\n  m: nowhere", "goes to 'nowhere', which is neither a pool nor an upstream"),
            ("models:\n  m: {versions: {}}", "line 2: model 'm' has no versions"),
            ("aliases:\n  a: b\n  b: c\n  c: a", "line 2: aliases go in a circle: a → b → c → a"),
            ("aliases:\n  a: b", "line 2: alias 'a' stands for 'b', which is neither"),
            ("routes:\n  - match: {path: /x}", "line 2: route 1 goes nowhere"),
            (
                "routes:\n  - name: r\n    match: {path: x}\n    refuse: {}",
                "line 3: path 'x' of match of route 'r' must begin with /"
            ),
            ("routes: 3", "line 1: routes is a list of rules, got a value"),
            ("", "line 1: the file is empty"),
            ("a: [1", "line 2: "),
            (
                "routes:\n  - refuse: {status: 200}",
                "status of refuse of route 1 takes a number from 400 to 599"
            ),
            ("routes:\n  - model: m\n", "line 2: route '1' names the unknown model 'm'"),
            (
                "routes:\n  - match: {tenent: x}\n    refuse: {}",
                "line 2: unknown key 'tenent' in match of route 1; did you mean 'tenant'?"
            ),
            (
                "routes:\n  - match: {percent: {by: usr, below: 3}}\n    refuse: {}",
                "line 2: by of percent of match of route 1 takes user, session"
            ),
        ])
    func mistakes(text: String, expected: String) {
        let found = ConfigurationTests.problems(text)
        #expect(found.contains { $0.contains(expected) }, "\(found)")
        #expect(found.allSatisfy { $0.hasPrefix("g.yaml") })
    }

    private func model(_ body: String) -> [String] {
        ConfigurationTests.problems(
            "upstreams:\n  u: http://x\nmodels:\n  a:\n    versions: {v1: u, v2: u}\n" + body)
    }

    @Test("splits must sum, go to versions that exist, and say what decides")
    func splits() {
        #expect(
            model("    split: {to: {v1: 90, v2: 5}}\n") == [
                "g.yaml, line 6: the weights of split of model 'a' sum to 95 %, "
                    + "they must sum to 100 %"
            ])
        #expect(
            model("    split: {to: {v1: 90, v3: 10}}\n") == [
                "g.yaml, line 6: model 'a' goes to version 'v3', which model 'a' does not have "
                    + "(it has v1, v2); did you mean 'v1'?"
            ])
        #expect(
            model("") == [
                "g.yaml, line 4: model 'a' has several versions and neither a default nor a split"
            ])
        #expect(model("    split: {to: {v1: 33.3333, v2: 66.6667}}\n") == [])
        #expect(model("    split: {by: mood, to: {v1: 50, v2: 50}}\n").count == 1)
    }

    @Test("fallbacks in a circle and missing prices are found")
    func circlesAndPrices() {
        let circle = ConfigurationTests.problems(
            """
            upstreams: {u: "http://x"}
            models:
              a: {versions: {v: u}, fallback: b}
              b: {versions: {v: u}, fallback: [d, c]}
              c: {versions: {v: u}, fallback: a}
              d: u
            """)
        #expect(circle == ["g.yaml, line 3: fallbacks go in a circle: a → b → c → a"])
        let prices = ConfigurationTests.problems(
            """
            upstreams: {u: "http://x"}
            models:
              a: {versions: {v: u, w: {pool: u, price: {input: 1, output: 2}}}, default: v}
            accounting: {prices: required}
            """)
        #expect(
            prices == [
                "g.yaml, line 3: version 'v' of model 'a' has no price, and accounting says that "
                    + "prices are required"
            ])
    }

    @Test("several mistakes are all told, in the file's order")
    func all() {
        let found = ConfigurationTests.problems(
            "upstreams:\n  a: x\n  b: y\nmodels:\n  m: nix\nroutes:\n  - {}\n")
        #expect(found.count == 4)
        #expect(found.map { $0.prefix(14) } == [2, 3, 5, 7].map { "g.yaml, line \($0)" })
    }

    @Test("rules that can never be reached and parts that nothing uses are warned of")
    func warnings() throws {
        let text = """
            upstreams: {u: "http://x", idle: "http://y"}
            models: {m: u}
            routes:
              - {name: all, match: {model: m}, version: "1"}
              - {name: late, match: {model: m, user: x}, version: "1"}
            """
        let snapshot = try RoutingSnapshot(yaml: Array(text.utf8), file: "g")
        #expect(
            snapshot.warnings == [
                "line 5: route 'late' can never be reached: route 'all' (line 4) takes everything "
                    + "before it",
                "line 1: nothing uses upstream 'idle'",
            ])
    }

    @Test("bytes that are no configuration never trap")
    func hostile() {
        let good = Array(ConfigurationTests.good.utf8)
        var state: UInt64 = 1
        for _ in 0..<3_000 {
            var bytes = good
            for _ in 0..<3 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let place = Int((state >> 33) % UInt64(bytes.count))
                switch (state >> 20) % 4 {
                case 0: bytes.remove(at: place)
                case 1: bytes[place] = UInt8(truncatingIfNeeded: state >> 40)
                case 2: bytes.removeSubrange(place..<min(place + 20, bytes.count))
                default:
                    bytes.insert(contentsOf: bytes[place..<min(place + 30, bytes.count)], at: place)
                }
                if bytes.isEmpty { bytes = good }
            }
            _ = try? RoutingSnapshot(yaml: bytes, file: "g")
        }
    }
}
