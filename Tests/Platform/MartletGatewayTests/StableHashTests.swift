// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import Testing

@Suite("Stable hash")
struct StableHashTests {
    @Test("keys keep their places for ever")
    func golden() {
        let salt = StableHash.salt("checkout")
        let places = ["", "u-1", "u-2", "ü"].map { StableHash.place($0, salt: salt) }
        #expect(places == StableHashTests.recorded)
    }

    /// Written down once: a change here moves users between variants.
    private static let recorded = [578_798, 169_608, 829_190, 943_178]

    @Test("keys spread evenly, and independently for two experiments")
    func spread() {
        var cells = [Int](repeating: 0, count: 100)
        let salts = [StableHash.salt("a"), StableHash.salt("b")]
        let count = 100_000
        for index in 0..<count {
            let first = StableHash.place("user-\(index)", salt: salts[0]) * 10 / 1_000_000
            let second = StableHash.place("user-\(index)", salt: salts[1]) * 10 / 1_000_000
            cells[first * 10 + second] += 1
        }
        let expected = Double(count) / 100
        let chi = cells.reduce(0.0) { sum, seen in
            sum + (Double(seen) - expected) * (Double(seen) - expected) / expected
        }
        // 99 degrees of freedom: 1 in 100 000 lies above 171.
        #expect(chi < 171, "chi square \(chi)")
    }
}
