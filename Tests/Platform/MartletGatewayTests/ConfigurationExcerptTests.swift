// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import Testing

@Suite("Excerpts of configurations")
struct ConfigurationExcerptTests {
    private static let secret = "PLANTED"

    /// All lines, as messages would show them.
    private func shown(_ text: String) -> [String] {
        let excerpt = ConfigurationExcerpt(Array(text.utf8))
        return (1...text.split(separator: "\n", omittingEmptySubsequences: false).count)
            .compactMap { excerpt.line($0) }
    }

    @Test(
        "raw secrets in the places of digests, names and addresses are not shown",
        arguments: [
            "keys: {alice: {sha256: sk-PLANTED, tenant: acme}}",
            "keys: {alice: {sha256: [sk-PLANTED, PLANTED2], tenant: acme}}",
            "keys:\n  alice:\n    sha256: PLANTED",
            "keys:\n  alice:\n    sha256:\n      - a\n      - PLANTED\n    tenant: acme",
            "keys:\n  alice:\n    sha256:\n    - PLANTED\n",
            "keys:\n  alice:\n    sha256: [\n  a,\n  PLANTED\n    ]\n    tenant: acme",
            "keys:\n  alice: {sha256: >-\n      PLANTED\n      PLANTED, tenant: acme}",
            "keys: {\"alice\": {\"sha256\": \"PLANTED\"}}",
            "keys: {alice: sk-PLANTED}", "keys:\n  alice: 8fPLANTED00aabbccdd", "admin: sk-PLANTED",
            "admin: {sha256:PLANTED}",
            "state: {redis: \"redis://u:PLANTED@h:6379\", prefix: p}",
            "upstreams: {u: \"http://me:PLANTED@host/x\"}",
            "upstreams:\n  u: {url: 'https://PLANTED@host', key_env: X}",
            "upstreams:\n  u: {url: 'https://host', key_env: PLANTED}",
            "state: {redis: 'redis://h', password: PLANTED}",
            "upstreams: {u: {url: 'http://h', api_key: \"a, PLANTED\"}}",
            "routes: [{match: {header: {authorization: Bearer PLANTED}}}]",
        ])
    func hides(text: String) {
        let lines = shown(text)
        #expect(!lines.joined().contains(Self.secret), "\(lines)")
        #expect(lines.joined().contains("…"))
    }

    @Test("all else is shown, as far as a line goes")
    func shows() {
        let text = """
            pools:
              chat: {members: [a], balance: leest_loaded}
            keys:
              alice: {sha256: X, tenant: acme, modls: [m]}
              bob:
                sha256: X
                tenant: acme
            limits: {tokens: {max: -3}}
            """
        let lines = shown(text)
        #expect(lines[1] == "  chat: {members: [a], balance: leest_loaded}")
        #expect(lines[3] == "  alice: {sha256: …, tenant: acme, modls: [m]}")
        #expect(lines[5] == "    sha256: …" && lines[6] == "    tenant: acme")
        #expect(lines[7] == "limits: {tokens: {max: -3}}")
        #expect(shown(String(repeating: "y", count: 300))[0].count == 100)
        #expect(ConfigurationExcerpt([]).line(2) == nil && ConfigurationExcerpt([]).line(0) == nil)
    }

    @Test("a wrong address is told without its user and password")
    func addresses() {
        let found = ConfigurationTests.problems("upstreams: {u: \"http://me:PLANTED@host/x\"}\n")
        #expect(found.count == 1 && found[0].contains("http://…@host/x"), "\(found)")
    }

    @Test("bytes that are no configuration never trap", arguments: 1...20)
    func hostile(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let pieces = [
            "sha256", ":", " ", "\n", "[", "]", "{", "}", "\"", "'", "-", "://", "@", "keys:", "é",
        ]
        for _ in 0..<300 {
            let text = (0..<40).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            #expect(shown(text).count >= 1, "seed \(seed)")
        }
    }
}
