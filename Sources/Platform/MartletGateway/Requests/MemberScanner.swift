// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
package import MartletJSON

/// Watches a JSON object go by in pieces and keeps its top-level members of certain names, with
/// where their values stand. What a gateway must know of a body that it does not hold.
///
/// Not a validator: text that is no JSON finds nothing, and is refused by whoever reads it in the
/// end. What it must not do is to read a member differently from that reader: names with escapes
/// are decoded, and a watched name that comes twice is told of (`hasDuplicate`), because readers
/// differ in which one they take.
///
/// Cost: long strings go by at the speed of `memchr`; nothing is allocated once it has grown to
/// what it keeps.
package struct MemberScanner: Sendable {
    /// A watched member's value.
    package struct Member: Sendable, Hashable {
        /// Where the value stands in the whole text.
        package var range: Range<Int>
        /// The value's text; empty when it was longer than `valueBytesMax`.
        package var text: [UInt8]
    }

    private enum State: UInt8 {
        case start, memberOrEnd, key, colon, value, string, nested, bare, afterValue, ended, broken
    }

    /// Where a value stands in the whole text, and in `kept`.
    private struct Found {
        var range = 0..<0
        var text = 0..<0
    }

    private static let nameBytesMax = 128
    package static let valueBytesMax = 16 << 10
    private static let quote = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")

    private let names: [StaticString]
    /// In the order of the names; those that `seen` marks count.
    private var found: [Found]
    private var seen: UInt32 = 0
    /// The values' texts, one behind the other.
    private var kept: [UInt8] = []
    package private(set) var hasDuplicate = false
    /// Bytes looked at.
    package private(set) var offset = 0

    private var state = State.start
    private var isInString = false
    private var isEscaped = false
    private var hasEscape = false
    private var isTooLong = false
    private var depth = 0
    /// A key's bytes, as far as they came in earlier pieces.
    private var key: [UInt8] = []
    private var captured: Int?
    private var valueStart = 0
    /// Where the value that is captured begins in `kept`, and where what is still to be kept of it
    /// begins in the piece at hand.
    private var keptStart = 0
    private var pieceStart = 0

    /// At most 32 names.
    package init(names: [StaticString]) {
        precondition(names.count <= 32, "more names than marks")
        self.names = names
        found = Array(repeating: Found(), count: names.count)
    }

    /// Begins anew with another text; keeps its memory.
    package mutating func reset() {
        seen = 0
        hasDuplicate = false
        offset = 0
        state = .start
        depth = 0
        isInString = false
        isEscaped = false
        captured = nil
        isTooLong = false
        if !kept.isEmpty { kept.removeAll(keepingCapacity: kept.capacity <= 4 << 10) }
    }

    /// Whether the object has ended.
    package var isComplete: Bool { state == .ended }

    // MARK: What was found

    /// In the order of the names; nil: not seen (whole) yet.
    package var members: [Member?] { names.indices.map { self[$0] } }

    package subscript(index: Int) -> Member? {
        guard has(index) else { return nil }
        return Member(range: found[index].range, text: Array(kept[found[index].text]))
    }

    package func has(_ index: Int) -> Bool { seen & 1 << UInt32(index) != 0 }

    /// Where a member's value stands in the whole text.
    package func range(_ index: Int) -> Range<Int>? { has(index) ? found[index].range : nil }

    /// Calls with a member's text; with nothing when it is not there. Changes nothing, but reads in
    /// place: nobody copies the scanner for it.
    package mutating func withText<Outcome>(
        _ index: Int, _ body: (UnsafeRawBufferPointer) -> Outcome
    ) -> Outcome {
        let range = has(index) ? found[index].text : 0..<0
        return unsafe kept.withUnsafeBytes {
            unsafe body(UnsafeRawBufferPointer(rebasing: $0[range]))
        }
    }

    // MARK: Reading

    package mutating func read(_ bytes: UnsafeRawBufferPointer) {
        var place = 0
        pieceStart = 0
        while place < bytes.count {
            switch state {
            case .ended, .broken: place = bytes.count
            case .key: place = unsafe readKey(bytes, from: place)
            case .string: place = unsafe readString(bytes, from: place)
            case .nested: place = unsafe readNested(bytes, from: place)
            case .bare: place = unsafe readBare(bytes, from: place)
            case .start, .memberOrEnd, .colon, .value, .afterValue:
                place = unsafe readBetween(bytes, from: place)
            }
        }
        if captured != nil { unsafe keep(bytes, upTo: bytes.count) }
        offset += bytes.count
    }

    /// The place behind the quote that ends a string; nil when the string goes on.
    private mutating func endOfString(
        _ bytes: UnsafeRawBufferPointer, from start: Int
    ) -> Int? {
        guard start < bytes.count, let base = bytes.baseAddress else { return nil }
        let first = isEscaped ? start + 1 : start
        isEscaped = false
        var place = first
        while place < bytes.count,
            let mark = unsafe memchr(base + place, CInt(MemberScanner.quote), bytes.count - place)
        {
            let quote = unsafe UnsafeRawPointer(mark) - base
            if unsafe MemberScanner.backslashes(bytes, before: quote, from: first) & 1 == 0 {
                return quote + 1
            }
            place = quote + 1
        }
        isEscaped =
            unsafe MemberScanner.backslashes(bytes, before: bytes.count, from: first) & 1 == 1
        return nil
    }

    private static func backslashes(
        _ bytes: UnsafeRawBufferPointer, before end: Int, from start: Int
    ) -> Int {
        var place = end
        while place > start, unsafe bytes[place - 1] == backslash { place -= 1 }
        return end - place
    }

    private mutating func readString(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard let end = unsafe endOfString(bytes, from: start) else { return bytes.count }
        unsafe endValue(bytes, at: end)
        return end
    }

    /// Inside a container: nothing matters but where it ends.
    private mutating func readNested(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var place = start
        var depth = depth
        while place < bytes.count {
            if isInString {
                guard let end = unsafe endOfString(bytes, from: place) else {
                    place = bytes.count
                    break
                }
                isInString = false
                place = end
                continue
            }
            let byte = unsafe bytes[place]
            place += 1
            if byte == MemberScanner.quote {
                isInString = true
                continue
            }
            // Brackets and braces differ in the bit that tells cases apart.
            switch byte & 0xDF {
            case UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "]"):
                depth -= 1
                if depth == 1 {
                    self.depth = 1
                    unsafe endValue(bytes, at: place)
                    return place
                }
            default: break
            }
        }
        self.depth = depth
        return place
    }

    private mutating func readBare(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var place = start
        while place < bytes.count {
            let byte = unsafe bytes[place]
            if byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}")
                || MemberScanner.isSpace(byte)
            {
                unsafe endValue(bytes, at: place)
                return place
            }
            place += 1
        }
        return place
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    /// Between names and values: goes on to the next of either.
    private mutating func readBetween(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var place = start
        var state = state
        while place < bytes.count {
            let byte = unsafe bytes[place]
            place += 1
            if byte <= 0x20, MemberScanner.isSpace(byte) { continue }
            switch state {
            case .colon: state = byte == UInt8(ascii: ":") ? .value : .broken
            case .value:
                beginValue(byte, at: place - 1)
                return place
            case .afterValue where byte == UInt8(ascii: ","): state = .memberOrEnd
            case .memberOrEnd where byte == MemberScanner.quote:
                if !key.isEmpty { key.removeAll(keepingCapacity: true) }
                hasEscape = false
                isEscaped = false
                self.state = .key
                return place
            case .start where byte == UInt8(ascii: "{"):
                depth = 1
                state = .memberOrEnd
            case .afterValue where byte == UInt8(ascii: "}"),
                .memberOrEnd where byte == UInt8(ascii: "}"):
                self.state = .ended
                return place
            default:
                self.state = .broken
                return place
            }
        }
        self.state = state
        return place
    }

    // MARK: Names

    private mutating func readKey(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var place = start
        if isEscaped {
            isEscaped = false
            place += 1
        }
        while place < bytes.count {
            let byte = unsafe bytes[place]
            if byte == MemberScanner.quote {
                unsafe endKey(UnsafeRawBufferPointer(rebasing: bytes[start..<place]))
                return place + 1
            }
            place += 1
            if byte == MemberScanner.backslash {
                hasEscape = true
                if place == bytes.count { isEscaped = true } else { place += 1 }
            }
        }
        if key.count <= MemberScanner.nameBytesMax {
            unsafe key.append(contentsOf: bytes[start..<min(bytes.count, start + 256)])
        }
        return bytes.count
    }

    private mutating func endKey(_ bytes: UnsafeRawBufferPointer) {
        state = .colon
        if !hasEscape, key.isEmpty {
            captured = unsafe watched(bytes)
            return
        }
        captured = nil
        guard key.count <= MemberScanner.nameBytesMax, bytes.count <= 256 else { return }
        unsafe key.append(contentsOf: bytes)
        if hasEscape {
            let quoted = [MemberScanner.quote] + key + [MemberScanner.quote]
            guard let decoded = (try? JSONValue(parsing: quoted))?.stringValue else { return }
            key = Array(decoded.utf8)
        }
        let whole = key
        captured = unsafe whole.withUnsafeBytes { unsafe watched($0) }
    }

    /// Which watched name the key is.
    private mutating func watched(_ key: UnsafeRawBufferPointer) -> Int? {
        guard let start = key.baseAddress else { return nil }
        for index in names.indices
        where unsafe names[index].utf8CodeUnitCount == key.count
            && memcmp(names[index].utf8Start, start, key.count) == 0
        {
            guard has(index) else { return index }
            hasDuplicate = true
            return nil
        }
        return nil
    }

    // MARK: Values

    private mutating func beginValue(_ byte: UInt8, at place: Int) {
        valueStart = offset + place
        pieceStart = place
        keptStart = kept.count
        isTooLong = false
        isEscaped = false
        switch byte {
        case MemberScanner.quote: state = .string
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            depth = 2
            isInString = false
            state = .nested
        case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"):
            captured = nil
            state = .broken
        default: state = .bare
        }
    }

    /// Keeps what this piece has of the value.
    private mutating func keep(_ bytes: UnsafeRawBufferPointer, upTo end: Int) {
        // Otherwise the name is there, and the value has not begun.
        guard state == .string || state == .nested || state == .bare, !isTooLong else { return }
        guard kept.count - keptStart + end - pieceStart <= MemberScanner.valueBytesMax else {
            isTooLong = true
            kept.removeSubrange(keptStart...)
            return
        }
        unsafe kept.append(
            contentsOf: UnsafeRawBufferPointer(rebasing: bytes[pieceStart..<end]))
    }

    private mutating func endValue(_ bytes: UnsafeRawBufferPointer, at end: Int) {
        if let index = captured {
            unsafe keep(bytes, upTo: end)
            found[index] = Found(
                range: valueStart..<offset + end, text: keptStart..<kept.count)
            seen |= 1 << UInt32(index)
            captured = nil
        }
        state = .afterValue
    }
}

extension MemberScanner.Member {
    /// The value as a text, when it is one.
    package var string: String? {
        guard text.count >= 2, text[0] == UInt8(ascii: "\"") else { return nil }
        if !text.contains(UInt8(ascii: "\\")) {
            let inside = text[1..<text.count - 1]
            return String(validating: inside, as: UTF8.self)
        }
        return (try? JSONValue(parsing: text))?.stringValue
    }

    package var isTrue: Bool { text == Array("true".utf8) }

    package var integer: Int? {
        guard !text.isEmpty, text.count <= 12 else { return nil }
        var number = 0
        for byte in text {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            number = number * 10 + Int(digit)
        }
        return number
    }

    package var json: JSONValue? { text.isEmpty ? nil : try? JSONValue(parsing: text) }
}
