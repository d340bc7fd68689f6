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

    /// The place of the next line feed at or after `start`.
    func lineFeed(from start: Int) -> Int? {
        guard start < count else { return nil }
        guard let found = unsafe memchr(base + start, 0x0A, count - start) else { return nil }
        return unsafe UnsafeRawPointer(found) - base
    }

    /// Replaces what `target` holds; its memory is used again where it is not shared.
    func copy(_ range: Range<Int>, to target: inout [UInt8]) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range out of bounds")
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
    static func isToken(_ byte: UInt8) -> Bool { tokens[Int(byte)] & 1 != 0 }

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
    static func isHost(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: hostMarks.contains(byte)
        }
    }

    private static let hostMarks = Array("-._~%!$&'()*+;=:[]".utf8)

    private static let tokens: InlineArray<256, UInt8> = {
        var table = InlineArray<256, UInt8>(repeating: 0)
        for byte in "!#$%&'*+-.^_`|~".utf8 { table[Int(byte)] = 1 }
        for byte in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".utf8 {
            table[Int(byte)] = 1
        }
        return table
    }()
}

@inline(__always)
func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}
