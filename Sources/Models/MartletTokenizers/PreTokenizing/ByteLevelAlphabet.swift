// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// GPT-2's spelling of bytes as visible characters, in which byte-level vocabularies are written.
enum ByteLevelAlphabet {
    /// The scalar that stands for each byte.
    static let scalarOfByte: [UInt32] = {
        var next: UInt32 = 0x100
        return (0..<UInt32(0x100)).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
            default:
                next += 1
                return next - 1
            }
        }
    }()

    /// The byte that each scalar below U+0144 stands for; -1 where it is none.
    private static let byteOfScalar: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalarOfByte.enumerated() { table[Int(scalar)] = Int16(byte) }
        return table
    }()

    /// The bytes that a token's spelling stands for; nil when it holds another character.
    static func bytes(of token: Span<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(token.count)
        var index = 0
        while index < token.count {
            let (scalar, next) = UTF8Text.scalar(token, at: index)
            guard scalar < 0x144, byteOfScalar[Int(scalar)] >= 0 else { return nil }
            result.append(UInt8(truncatingIfNeeded: byteOfScalar[Int(scalar)]))
            index = next
        }
        return result
    }
}
