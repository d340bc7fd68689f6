// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletResilience
internal import MartletYAML
internal import Testing

@Suite("Gateway configuration of protection")
struct ProtectionConfigurationTests {
    private static let digest =
        "099295a3784e1bd368dc348843a7398c1931b6b8ec2504c73e91ed2040bdc46c"

    private static let good = """
        listen: {certificate: c.pem, key: k.pem, client_ca: ca.pem}
        state: {redis: "redis://10.0.0.9/3", user: g, password_env: PASSWORD, wait: 7ms, replicas: 3}
        jwt:
          corp: {issuer: "https://idp", audience: [a, b], keys: "https://idp/jwks", algorithms: [RS256, EdDSA], tenant: org.id, leeway: 5s}
          file: {issuer: other, keys: keys.json}
        keys:
          alice: {sha256: \(digest), priority: low, priority_max: high, budget: {amount: 25, per: day}}
          node: {certificate: ["URI:spiffe://a/b", "CN=node"]}
        tenants:
          acme: {priority: high, budget: {amount: 0.5, per: 90s}}
        upstreams: {u: "http://10.0.0.1:8000"}
        pools:
          p: {members: [u], concurrency: {max: 8, waiting: 9, wait: 3s, adaptive: true}}
        models:
          m:
            versions: {v1: p}
            cache: {for: all, ttl: 9s, stale: 1h, bytes: 4096, entries: 7, entry_bytes: 100, vary: [X-Style], shared: false}
            fallback_answer: {status: 503, content_type: text/plain, body: later}
        accounting: {state: b.json}
        """

    @Test("everything is read as it stands")
    func good() throws {
        let snapshot = try RoutingSnapshot(yaml: Array(Self.good.utf8), file: "g.yaml")
        let tables = snapshot.tables
        let state = try #require(tables.state)
        #expect(state.host == "10.0.0.9" && state.port == 6_379 && state.database == 3)
        #expect(state.wait == .milliseconds(7) && state.replicas == 3 && state.user == "g")
        let cache = try #require(tables.models[0].cache)
        #expect(cache.use == .all && cache.limits.timeToLive == .seconds(9) && !cache.isShared)
        #expect(cache.limits.staleFor == .seconds(3_600) && cache.limits.entriesMax == 7)
        #expect(cache.vary == ["x-style"])
        #expect(tables.models[0].fallbackAnswer?.status == 503)
        #expect(tables.models[0].fallbackAnswer?.body == Array("later".utf8))
        let policy = tables.pools[0].policy
        #expect(policy.bulkhead.waitingMax == 9 && policy.adaptive?.limitMax == 8)
        let access = AccessTable(snapshot)
        #expect(access.keys.map(\.name) == ["alice", "node", "jwt/corp", "jwt/file"])
        #expect(access.keys[0].priority == .low && access.keys[0].priorityMax == .high)
        #expect(access.keys[0].budget == BudgetPolicy(amount: 25_000_000_000_000, period: .day))
        #expect(access.tenantBudgets["acme"]?.period == .seconds(90))
        #expect(access.tenantPriorities["acme"] == .high && access.hasBudgets)
        #expect(access.look(certificate: ["CN=else", "CN=node"]) == 1)
        #expect(access.look(certificate: ["cn=node", "DNS:node"]) == nil)
        #expect(access.issuers[0].verifier.policy.algorithms == [.rs256, .edDSA])
        #expect(access.issuers[0].verifier.policy.leeway == 5)
        #expect(access.issuers[1].source == .file("keys.json"))
        #expect(tables.budgetFile == "b.json")
    }

    @Test(
        "what is wrong is named with its line",
        arguments: [
            ("ttl: 9s", "tll: 9s", "unknown key 'tll' in cache of model 'm'; did you mean 'ttl'"),
            ("for: all", "for: ever", "for of cache of model 'm' is one of"),
            ("shared: false", "shared: maybe", "takes true or false"),
            ("status: 503", "status: 99", "takes a number from 200 to 599"),
            ("body: later", "size: 1", "unknown key 'size'"),
            ("wait: 7ms", "wait: soon", "wait of state takes a time"),
            ("10.0.0.9/3", "10.0.0.9/x", "redis of state must look like"),
            ("[RS256, EdDSA]", "[HS256]", "algorithms of jwt 'corp' are of"),
            ("[RS256, EdDSA]", "none", "algorithms of jwt 'corp' are of"),
            ("issuer: other", "issuer: \"https://idp\"", "two jwt sections are for the issuer"),
            ("keys: keys.json", "keys: \"ftp://x\"", "must be a file or look like https"),
            ("CN=node", "node", "takes names such as CN=alice"),
            (", client_ca: ca.pem", "", "goes by a client certificate, and listen has no"),
            ("certificate: c.pem, key: k.pem, ", "", "has no certificate of its own"),
            ("priority: low", "priority: urgent", "is one of low, normal, high"),
            ("per: day", "per: never", "takes a time"),
            ("amount: 25", "amount: -3", "takes a number from"),
            ("adaptive: true", "adaptive: 3", "takes true or false"),
        ])
    func wrong(_ old: String, _ new: String, _ expected: String) {
        let found = ConfigurationTests.problems(Self.good.replacing(old, with: new))
        #expect(found.contains { $0.contains(expected) && $0.contains("line") }, "\(found)")
    }

    @Test("a password in the address is refused and not shown")
    func password() {
        let found = ConfigurationTests.problems(
            Self.good.replacing("redis://10.0.0.9/3", with: "redis://g:hunter2@10.0.0.9/3"))
        #expect(!found.isEmpty && found.allSatisfy { !$0.contains("hunter2") }, "\(found)")
    }
}
