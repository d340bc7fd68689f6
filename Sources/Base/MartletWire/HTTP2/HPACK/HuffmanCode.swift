// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// HPACK's Huffman code (RFC 7541 §5.2). It is canonical: the lengths of appendix B determine the
/// codes.
enum HuffmanCode {
    /// Code lengths of the 256 bytes and of EOS.
    private static let lengths: [UInt8] = [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28,
        28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6,
        8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6,
        6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14,
        6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7,
        6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22,
        22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23,
        23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22,
        24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22,
        22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
        21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21,
        22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27,
        27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
    ]
    private static let lengthMax = 30
    private static let endOfString = 256
    /// How many bits the table of short codes is indexed by.
    private static let shortBits = 9

    private struct Tables: Sendable {
        var codes: [UInt32] = []
        /// Symbol << 4 | length for codes of up to `shortBits` bits; 0 for longer ones.
        var short = [UInt16](repeating: 0, count: 1 << HuffmanCode.shortBits)
        /// The first code of each length and what follows the last, left-aligned in 32 bits.
        var firstCode = [UInt32](repeating: 0, count: HuffmanCode.lengthMax + 1)
        var end = [UInt64](repeating: 0, count: HuffmanCode.lengthMax + 1)
        /// Where in `symbols` those of each length begin.
        var firstSymbol = [Int](repeating: 0, count: HuffmanCode.lengthMax + 1)
        /// Symbols by length, then value.
        var symbols: [UInt16] = []
    }

    private static let tables: Tables = {
        var tables = Tables()
        tables.codes = [UInt32](repeating: 0, count: lengths.count)
        var code: UInt32 = 0
        for length in 1...lengthMax {
            code <<= 1
            tables.firstCode[length] = code << UInt32(32 - length)
            tables.firstSymbol[length] = tables.symbols.count
            for symbol in lengths.indices where Int(lengths[symbol]) == length {
                tables.codes[symbol] = code
                tables.symbols.append(UInt16(symbol))
                if length <= shortBits {
                    let spread = shortBits - length
                    let first = Int(code) << spread
                    for index in first..<first + (1 << spread) {
                        tables.short[index] = UInt16(symbol << 4 | length)
                    }
                }
                code += 1
            }
            tables.end[length] = UInt64(code) << UInt64(32 - length)
        }
        return tables
    }()

    // MARK: Decoding

    /// Decodes the bytes of a string to the end of `output`.
    static func decode(
        _ source: WireBytes, _ range: Range<Int>, appendingTo output: inout [UInt8]
    ) throws(HTTP2Error) {
        let tables = HuffmanCode.tables
        var window: UInt64 = 0
        var bitCount = 0
        var position = range.lowerBound
        while true {
            while bitCount <= 56, position < range.upperBound {
                window |= UInt64(source[position]) << UInt64(56 - bitCount)
                bitCount += 8
                position += 1
            }
            if bitCount == 0 { return }
            let entry = tables.short[Int(window >> UInt64(64 - shortBits))]
            var length = Int(entry & 15)
            var symbol = Int(entry >> 4)
            if length == 0 { (symbol, length) = long(UInt32(window >> 32), tables) }
            guard length <= bitCount else {
                try checkPadding(window, bitCount)
                return
            }
            guard symbol != endOfString else {
                throw HTTP2Error(.compressionError, "end of string inside a Huffman string")
            }
            output.append(UInt8(truncatingIfNeeded: symbol))
            window <<= UInt64(length)
            bitCount -= length
        }
    }

    /// The symbol whose code, longer than `shortBits`, `bits` begin with.
    private static func long(_ bits: UInt32, _ tables: Tables) -> (symbol: Int, length: Int) {
        var length = shortBits + 1
        while length < lengthMax, UInt64(bits) >= tables.end[length] { length += 1 }
        let offset = Int((bits &- tables.firstCode[length]) >> UInt32(32 - length))
        return (Int(tables.symbols[tables.firstSymbol[length] + offset]), length)
    }

    /// What is left after the last symbol must be the front of EOS: fewer than eight ones.
    private static func checkPadding(_ window: UInt64, _ bitCount: Int) throws(HTTP2Error) {
        guard bitCount < 8, window >> UInt64(64 - bitCount) == (1 << UInt64(bitCount)) - 1 else {
            throw HTTP2Error(.compressionError, "a Huffman string is padded wrongly")
        }
    }

    // MARK: Encoding

    /// How many bytes the coded form of a string takes.
    static func byteCount(_ bytes: [UInt8]) -> Int {
        (bytes.reduce(0) { $0 + Int(lengths[Int($1)]) } + 7) / 8
    }

    static func encode(_ bytes: [UInt8], to output: inout [UInt8]) {
        let tables = HuffmanCode.tables
        var window: UInt64 = 0
        var bitCount = 0
        for byte in bytes {
            let length = Int(lengths[Int(byte)])
            window = window << UInt64(length) | UInt64(tables.codes[Int(byte)])
            bitCount += length
            while bitCount >= 8 {
                bitCount -= 8
                output.append(UInt8(truncatingIfNeeded: window >> UInt64(bitCount)))
            }
        }
        if bitCount > 0 {
            let ones: UInt64 = (1 << UInt64(8 - bitCount)) - 1
            output.append(UInt8(truncatingIfNeeded: window << UInt64(8 - bitCount) | ones))
        }
    }
}
