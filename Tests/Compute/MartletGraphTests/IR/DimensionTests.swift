// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import Testing

@Suite("Dimension")
struct DimensionTests {
    let batch = Dimension(symbol: "batch")
    let seq = Dimension(symbol: "seq")

    @Test("adds and scales symbols")
    func arithmetic() throws {
        let double = try #require(seq.multiplied(by: 2))
        let sum = try #require(double.adding(batch)?.adding(-1))
        #expect(sum.description == "batch+2·seq-1")
        #expect(sum.subtracting(double)?.description == "batch-1")
        #expect(seq.subtracting(seq) == 0)
        #expect(double.dividedRoundingDown(by: 2) == seq)
        #expect(seq.dividedRoundingDown(by: 2) == nil)
        #expect(Dimension(-3).dividedRoundingDown(by: 2) == -2)
    }

    @Test("says nothing rather than overflow")
    func overflow() {
        #expect(Dimension(.max).adding(1) == nil)
        #expect(Dimension(.max).multiplied(by: 2) == nil)
        #expect(Dimension(.min).multiplied(by: -1) == nil)
        #expect(batch.multiplied(by: seq) == nil)
    }
}
