// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Borrowed bytes of a text, checked against their end in debug builds only: whoever reads compares
/// places with `count`.
@safe struct TextBytes {
    static let quote = UInt8(ascii: "\"")
    static let backslash = UInt8(ascii: "\\")

    private let base: UnsafeRawPointer
    let count: Int

    init(_ base: UnsafeRawPointer, _ count: Int) {
        unsafe self.base = unsafe base
        self.count = count
    }

    @inline(__always)
    subscript(place: Int) -> UInt8 {
        assert(place >= 0 && place < count)
        return unsafe base.load(fromByteOffset: place, as: UInt8.self)
    }

    @inline(__always)
    func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
    }

    /// A quote within the next 32 bytes that no backslash stands before; nil when there is none, or
    /// the bytes end too soon. Eight at a time.
    @inline(__always)
    func nearQuote(from start: Int) -> Int? {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var place = start
        while place + 8 <= count, place < start + 32 {
            let word = unsafe base.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                .littleEndian
            let quotes = word ^ (ones &* 0x22)
            // The lowest mark is exact; a borrow can only add marks above it.
            let marks = (quotes &- ones) & ~quotes & (ones &* 0x80)
            if marks != 0 {
                let found = place + marks.trailingZeroBitCount / 8
                return found == start || self[found - 1] != TextBytes.backslash ? found : nil
            }
            place += 8
        }
        return nil
    }

    /// The place behind the next quote, bracket or brace; nil when there is none.
    @inline(__always)
    func mark(from start: Int) -> Int? {
        var place = start
        while place < count {
            if TextBytes.marks[Int(self[place])] != 0 { return place + 1 }
            place += 1
        }
        return nil
    }

    /// Written out, so that it is there before the program runs: quotes, brackets and braces.
    private static let marks: InlineArray<256, UInt8> = [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]

    /// The last opening brace before `end`, within 4 KiB. Eight bytes at a time.
    func lastBrace(before end: Int) -> Int? {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let lows = ones &* 0x7F
        let start = max(end - (4 << 10), 0)
        var place = end
        while place - 8 >= start {
            let word = unsafe base.loadUnaligned(fromByteOffset: place - 8, as: UInt64.self)
                .littleEndian
            let braces = word ^ (ones &* 0x7B)
            // Exact in every byte, since the highest is the one that is looked for.
            let marks = ~(((braces & lows) &+ lows) | braces | lows)
            if marks != 0 { return place - 1 - marks.leadingZeroBitCount / 8 }
            place -= 8
        }
        while place > start {
            place -= 1
            if self[place] == 0x7B { return place }
        }
        return nil
    }

    /// The place behind the last byte before `end` that is no space.
    func skippingSpace(before end: Int) -> Int {
        var place = end
        while place > 0, TextBytes.isSpace(self[place - 1]) { place -= 1 }
        return place
    }

    /// Whether nothing but space follows.
    func isSpace(from start: Int) -> Bool {
        var place = start
        while place < count, TextBytes.isSpace(self[place]) { place += 1 }
        return place == count
    }

    @inline(__always)
    static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    /// The next quote, byte by byte; nil when a backslash comes first or there is none.
    func plainQuote(from start: Int) -> Int? {
        var place = start
        while place < count, self[place] != TextBytes.backslash {
            if self[place] == TextBytes.quote { return place }
            place += 1
        }
        return nil
    }

    /// The next quote.
    func quote(from start: Int) -> Int? {
        guard let mark = unsafe memchr(base + start, CInt(TextBytes.quote), count - start) else {
            return nil
        }
        return unsafe UnsafeRawPointer(mark) - base
    }

    /// How many backslashes stand right before `end`, down to `start`.
    func backslashes(before end: Int, from start: Int) -> Int {
        var place = end
        while place > start, self[place - 1] == TextBytes.backslash { place -= 1 }
        return end - place
    }
}
