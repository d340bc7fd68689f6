// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletServing
internal import MartletTensor
internal import Testing

@Suite("Classification")
struct ClassificationTests {
    private func best(_ tensor: Tensor, _ count: Int) throws -> [String] {
        let answer = try Classification.topK(tensor, count: count, isBatched: false, labels: [])
        return try BytesTensor.texts(answer, name: "OUTPUT")
    }

    @Test("the largest 64-bit integers are answered to the last digit")
    func wideIntegers() throws {
        #expect(
            try best(try Tensor([Int64.max, .min, 5]), 3)
                == ["9223372036854775807:0", "5:2", "-9223372036854775808:1"])
        #expect(
            try best(try Tensor([UInt64.max, 1 << 63]), 2)
                == ["18446744073709551615:0", "9223372036854775808:1"])
    }

    @Test("equal values keep their order and NaN comes last, however many are asked for")
    func order() throws {
        let values: [Float] = (0..<300).map { $0 == 7 ? .nan : Float($0 % 10) }
        let all = try best(try Tensor(values), 1_000_000)
        #expect(all.count == 300)
        #expect(all.first == "9.000000:9")
        #expect(all.last == "nan:7")
        #expect(try best(try Tensor(values), 64) == Array(all.prefix(64)))
        #expect(try best(try Tensor([Float.nan, 1]), 2) == ["1.000000:1", "nan:0"])
    }

    @Test("a million elements are ordered in no time")
    func many() throws {
        let values = (0..<1_000_000).map { Float($0) }
        #expect(try best(try Tensor(values), values.count).count == values.count)
    }
}
