// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Borrowed bytes, checked against their end in debug builds only: parsers compare positions with
/// `count` themselves.
@safe struct WireBytes {
    private let base: UnsafeRawPointer
    let count: Int

    init(_ bytes: UnsafeRawBufferPointer) {
        // An empty buffer may have no address; nothing is read through this one.
        unsafe base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
        count = bytes.count
    }

    @inline(__always)
    subscript(position: Int) -> UInt8 {
        assert(position >= 0 && position < count)
        return unsafe base.load(fromByteOffset: position, as: UInt8.self)
    }

    /// The eight bytes from there on.
    @inline(__always)
    func word(at position: Int) -> UInt64 {
        assert(position >= 0 && position + 8 <= count)
        return unsafe base.loadUnaligned(fromByteOffset: position, as: UInt64.self)
    }

    /// Whether every byte there may stand in a field's value; eight at a time.
    func isFieldValue(_ range: Range<Int>) -> Bool {
        let highs: UInt64 = 0x8080_8080_8080_8080
        let ones: UInt64 = 0x0101_0101_0101_0101
        var place = range.lowerBound
        while place + 8 <= range.upperBound {
            let word = word(at: place)
            // Marks are exact up to the first, and bytes of the upper half have none.
            let controls = (word &- ones &* 0x20) & ~word
            let deletes = word ^ (ones &* 0x7F)
            if (controls | (deletes &- ones) & ~deletes) & highs != 0 {
                for offset in place..<place + 8 where !ByteClass.isFieldValue(self[offset]) {
                    return false
                }
            }
            place += 8
        }
        while place < range.upperBound {
            if !ByteClass.isFieldValue(self[place]) { return false }
            place += 1
        }
        return true
    }

    /// The place of the next line feed at or after `start`.
    func lineFeed(from start: Int) -> Int? {
        guard start < count else { return nil }
        guard let found = unsafe memchr(base + start, 0x0A, count - start) else { return nil }
        return unsafe UnsafeRawPointer(found) - base
    }

    /// Replaces what `target` holds; its memory is used again where it is not shared.
    func copy(_ range: Range<Int>, to target: inout [UInt8]) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range out of bounds")
        if target.count == range.count {
            // Most of a connection's heads are as long as the one before.
            return unsafe target.withUnsafeMutableBytes {
                unsafe $0.copyMemory(
                    from: UnsafeRawBufferPointer(
                        start: base + range.lowerBound, count: range.count))
            }
        }
        target.removeAll(keepingCapacity: true)
        unsafe target.append(
            contentsOf: UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
    }

    func append(_ range: Range<Int>, to array: inout [UInt8]) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range out of bounds")
        unsafe array.append(
            contentsOf: UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
    }

    /// Whether the bytes there are `array`.
    func equals(_ range: Range<Int>, _ array: [UInt8]) -> Bool {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range out of bounds")
        guard range.count == array.count else { return false }
        return unsafe array.withUnsafeBytes { other in
            guard let start = other.baseAddress else { return true }
            return unsafe memcmp(start, base + range.lowerBound, other.count) == 0
        }
    }

    /// Whether the bytes there are the same that `array` has there.
    func isSame(_ range: Range<Int>, in array: [UInt8]) -> Bool {
        guard range.upperBound <= count, range.upperBound <= array.count else { return false }
        precondition(range.lowerBound >= 0, "range out of bounds")
        return unsafe array.withUnsafeBytes { other in
            guard let start = other.baseAddress else { return range.isEmpty }
            return unsafe memcmp(
                start + range.lowerBound, base + range.lowerBound, range.count) == 0
        }
    }

    func array(_ range: Range<Int>) -> [UInt8] {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range out of bounds")
        return unsafe [UInt8](
            UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
    }
}

/// What a byte may be part of.
enum ByteClass {
    /// RFC 9110 §5.6.2: letters, digits and !#$%&'*+-.^_`|~.
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool { table[Int(byte)] & 1 != 0 }

    /// A field value's bytes: tab, visible ASCII, space, and the obsolete upper half.
    @inline(__always)
    static func isFieldValue(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte != 0x7F || byte == 0x09
    }

    /// A request target's bytes: visible ASCII without '#', which never travels.
    @inline(__always)
    static func isTarget(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "#")
    }

    /// A host and port: RFC 3986 reg-name, IP literals, ':'.
    @inline(__always)
    static func isHost(_ byte: UInt8) -> Bool { table[Int(byte)] & 2 != 0 }

    /// Written out, so that it is there before the program runs: 1 tokens, 2 hosts.
    private static let table: InlineArray<256, UInt8> = [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 3, 0, 1, 3, 3, 3, 3, 2, 2, 3, 3, 0, 3, 3, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2,
        0, 2, 0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
        3, 2, 0, 2, 1, 3, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
        3, 3, 3, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]
}

@inline(__always)
func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}

/// The bytes with capital letters made small; exact for every byte.
@inline(__always)
func lowercased(word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let low = word & (ones &* 0x7F)
    let isCapital =
        (low &+ ones &* (0x80 - 0x41)) & ~(low &+ ones &* (0x7F - 0x5A)) & ~word & (ones &* 0x80)
    return word | isCapital >> 2
}

/// Whether `bytes` are `word` (given in lower case), whatever their case. Both are equally long.
func isLowercase(_ bytes: WireBytes, _ word: WireBytes) -> Bool {
    let count = word.count
    guard count >= 8 else {
        for place in 0..<count where lowercased(bytes[place]) != word[place] { return false }
        return true
    }
    var place = 0
    while place + 8 < count {
        if lowercased(word: bytes.word(at: place)) != word.word(at: place) { return false }
        place += 8
    }
    return lowercased(word: bytes.word(at: count - 8)) == word.word(at: count - 8)
}
