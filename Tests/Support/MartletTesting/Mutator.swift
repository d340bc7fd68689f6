// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase

/// Damages valid inputs at random: what a fuzz test feeds to a parser of untrusted bytes.
///
///     fuzz("ONNX", seeds: [model]) { bytes in _ = try ONNXModel(ByteRegion(copying: bytes)) }
///
/// The same seed gives the same sequence of inputs.
public struct Mutator: Sendable {
    /// The generator behind every choice.
    public var random: SeededRandom
    /// The longest input made, in bytes.
    public var sizeMax: Int

    public init(seed: UInt64, sizeMax: Int = 65_536) {
        random = SeededRandom(seed: seed)
        self.sizeMax = sizeMax
    }

    /// A damaged copy of `input`; `others` lend bytes to splices.
    public mutating func mutate(_ input: [UInt8], with others: [[UInt8]] = []) -> [UInt8] {
        var bytes = input
        for _ in 0..<Int.random(in: 1...4, using: &random) { step(&bytes, others) }
        if bytes.count > sizeMax { bytes.removeLast(bytes.count - sizeMax) }
        return bytes
    }

    private mutating func step(_ bytes: inout [UInt8], _ others: [[UInt8]]) {
        guard !bytes.isEmpty else {
            bytes = [UInt8.random(in: 0...255, using: &random)]
            return
        }
        switch Int.random(in: 0..<10, using: &random) {
        case 0: bytes[index(bytes)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[index(bytes)] = UInt8.random(in: 0...255, using: &random)
        case 2: bytes[index(bytes)] = Self.telling.randomElement(using: &random) ?? 0
        case 3: bytes.removeLast(bytes.count - index(bytes))
        case 4: bytes.removeSubrange(range(bytes, lengthMax: 16))
        case 5:
            let piece = bytes[range(bytes, lengthMax: 64)]
            bytes.insert(contentsOf: piece, at: index(bytes))
        case 6: lieAboutLength(&bytes)
        case 7: splice(&bytes, others)
        case 8:
            let count = Int.random(in: 1...8, using: &random)
            let noise = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            bytes.insert(contentsOf: noise, at: index(bytes))
        default: repeatPiece(&bytes)
        }
    }

    /// Bytes that parsers treat in their own way: ends of ranges, digits, quotes, brackets, breaks.
    private static let telling: [UInt8] =
        [0, 1, 0x7F, 0x80, 0xFE, 0xFF] + Array("09-+.eE\"\\{}[]<>:,;=#/ \t\r\n%&?*".utf8)

    /// Overwrites a few bytes with a number at the edge of what a length field can say.
    private mutating func lieAboutLength(_ bytes: inout [UInt8]) {
        let lies: [[UInt8]] = [
            [0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0x7F], [0, 0, 0, 0x80],
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            [0x80, 0x80, 0x80, 0x80, 0x08], Array("9223372036854775807".utf8),
            Array("-1".utf8), Array("1e999".utf8), Array("ffffffffffffffff".utf8),
        ]
        let lie = lies.randomElement(using: &random) ?? []
        let start = index(bytes)
        let end = min(bytes.count, start + lie.count)
        bytes.replaceSubrange(start..<end, with: lie)
    }

    private mutating func splice(_ bytes: inout [UInt8], _ others: [[UInt8]]) {
        guard let other = others.randomElement(using: &random), !other.isEmpty else { return }
        let piece = other[range(other, lengthMax: 256)]
        bytes.replaceSubrange(range(bytes, lengthMax: 256), with: piece)
    }

    /// Repeats a short piece many times: deep nesting, many fields.
    private mutating func repeatPiece(_ bytes: inout [UInt8]) {
        let piece = Array(bytes[range(bytes, lengthMax: 4)])
        let times = Int.random(in: 2...200, using: &random)
        bytes.insert(
            contentsOf: repeatElement(piece, count: times).joined(), at: index(bytes))
    }

    private mutating func index(_ bytes: [UInt8]) -> Int {
        Int.random(in: 0..<bytes.count, using: &random)
    }

    private mutating func range(_ bytes: [UInt8], lengthMax: Int) -> Range<Int> {
        let start = index(bytes)
        let length = Int.random(in: 1...lengthMax, using: &random)
        return start..<min(bytes.count, start + length)
    }
}
