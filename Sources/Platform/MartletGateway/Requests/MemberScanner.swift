// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletJSON

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

    private let names: [StaticString]
    /// A mark for each length (below 64) that a name has: most keys are settled by it.
    private let lengths: UInt64
    /// In the order of the names; those that `seen` marks count.
    private var found: [Found]
    private var seen: UInt32 = 0
    /// The values' texts, one behind the other: its first `keptCount` bytes.
    private var kept: [UInt8] = []
    private var keptCount = 0
    package private(set) var hasDuplicate = false
    /// Bytes looked at.
    package private(set) var offset = 0
    /// Where the object ended.
    private var end = 0

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
        lengths = names.reduce(0) { $0 | 1 << UInt64(min($1.utf8CodeUnitCount, 63)) }
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
        keptCount = 0
        if kept.count > 4 << 10 { kept = [] }
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
        guard let start = bytes.baseAddress else { return }
        let text = unsafe TextBytes(start, bytes.count)
        var place = 0
        pieceStart = 0
        while place < text.count {
            switch state {
            case .ended, .broken: place = text.count
            case .key: place = readKey(text, from: place)
            case .string:
                guard let end = endOfString(text, from: place) else {
                    place = text.count
                    break
                }
                place = endValue(text, at: end)
            case .nested: place = readNested(text, from: place)
            case .bare: place = readBare(text, from: place)
            case .start, .memberOrEnd, .colon, .value, .afterValue:
                place = readBetween(text, from: place)
            }
        }
        if captured != nil { keep(text, upTo: text.count) }
        offset += text.count
    }

    /// Reads a text that is there whole. Begins at its last members where that is enough: when the
    /// first name is that of an object, and one of the last braces is where that begins.
    ///
    /// What is read from there on must end with the whole text. Then, in a text that is JSON, the
    /// member is one of the outermost object. Of members of that name the last is found.
    package mutating func readWhole(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        let text = unsafe TextBytes(start, bytes.count)
        if offset == 0, let member = lastObject(text) {
            offset = member
            depth = 1
            state = .memberOrEnd
            unsafe read(text.slice(member..<text.count))
            if state == .ended, has(0), text.isSpace(from: end) { return }
            reset()
        }
        unsafe read(bytes)
    }

    /// Where the first name stands, quote included, before one of the text's last braces.
    private func lastObject(_ text: TextBytes) -> Int? {
        let name = names[0]
        var place = text.count
        for _ in 0..<4 {
            guard let brace = text.lastBrace(before: place) else { return nil }
            place = brace
            let colon = text.skippingSpace(before: brace) - 1
            guard colon > 0, text[colon] == UInt8(ascii: ":") else { continue }
            let end = text.skippingSpace(before: colon)
            let start = end - name.utf8CodeUnitCount - 2
            guard start > 0, text[start] == TextBytes.quote, text[end - 1] == TextBytes.quote,
                unsafe memcmp(
                    text.slice(start + 1..<end - 1).baseAddress.unsafelyUnwrapped,
                    name.utf8Start, name.utf8CodeUnitCount) == 0
            else { continue }
            let before = text.skippingSpace(before: start) - 1
            guard before >= 0, text[before] == UInt8(ascii: ",") || text[before] == 0x7B
            else { return nil }
            return start
        }
        return nil
    }

    /// The place behind the quote that ends a string; nil when the string goes on.
    @inline(__always)
    private mutating func endOfString(_ text: TextBytes, from start: Int) -> Int? {
        if !isEscaped, let quote = text.nearQuote(from: start) { return quote + 1 }
        return endOfLongString(text, from: start)
    }

    private mutating func endOfLongString(_ text: TextBytes, from start: Int) -> Int? {
        guard start < text.count else { return nil }
        let first = isEscaped ? start + 1 : start
        isEscaped = false
        var place = first
        while place < text.count, let quote = text.quote(from: place) {
            if text.backslashes(before: quote, from: first) & 1 == 0 { return quote + 1 }
            place = quote + 1
        }
        isEscaped = text.backslashes(before: text.count, from: first) & 1 == 1
        return nil
    }

    /// Inside a container: nothing matters but where it ends.
    private mutating func readNested(_ text: TextBytes, from start: Int) -> Int {
        var place = start
        var depth = depth
        if isInString {
            guard let end = endOfString(text, from: place) else { return text.count }
            isInString = false
            place = end
        }
        while let next = text.mark(from: place) {
            place = next
            let byte = text[next - 1]
            if byte == TextBytes.quote {
                guard let end = endOfString(text, from: place) else {
                    isInString = true
                    place = text.count
                    break
                }
                place = end
            } else if byte & 0xDF == UInt8(ascii: "[") {
                // Brackets and braces differ in the bit that tells cases apart.
                depth += 1
            } else {
                depth -= 1
                if depth == 1 {
                    self.depth = 1
                    return endValue(text, at: place)
                }
            }
        }
        self.depth = depth
        return text.count
    }

    private mutating func readBare(_ text: TextBytes, from start: Int) -> Int {
        var place = start
        while place < text.count {
            let byte = text[place]
            if byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}")
                || TextBytes.isSpace(byte)
            {
                return endValue(text, at: place)
            }
            place += 1
        }
        return place
    }

    /// Between names and values: goes on to the next of either.
    @inline(__always)
    private mutating func readBetween(_ text: TextBytes, from start: Int) -> Int {
        var place = start
        while place < text.count {
            let byte = text[place]
            place += 1
            if byte <= 0x20, TextBytes.isSpace(byte) { continue }
            switch state {
            case .colon:
                guard byte == UInt8(ascii: ":") else { return broken(place) }
                state = .value
            case .value:
                beginValue(byte, at: place - 1)
                return place
            case .afterValue where byte == UInt8(ascii: ","): state = .memberOrEnd
            case .memberOrEnd where byte == TextBytes.quote:
                beginKey()
                return place
            case .start where byte == UInt8(ascii: "{"):
                depth = 1
                state = .memberOrEnd
            case .afterValue where byte == UInt8(ascii: "}"),
                .memberOrEnd where byte == UInt8(ascii: "}"):
                state = .ended
                end = offset + place
                return place
            default: return broken(place)
            }
        }
        return place
    }

    private mutating func broken(_ place: Int) -> Int {
        state = .broken
        return place
    }

    // MARK: Names

    @inline(__always)
    private mutating func readKey(_ text: TextBytes, from start: Int) -> Int {
        if !isEscaped, !hasEscape, key.isEmpty, let quote = text.plainQuote(from: start) {
            captured = unsafe watched(text.slice(start..<quote))
            let next = quote + 1
            // As most write it: the value behind one colon.
            if next + 1 < text.count, text[next] == UInt8(ascii: ":"), text[next + 1] > 0x20 {
                beginValue(text[next + 1], at: next + 1)
                return next + 2
            }
            state = .colon
            return next
        }
        return readLongKey(text, from: start)
    }

    private mutating func readLongKey(_ text: TextBytes, from start: Int) -> Int {
        var place = start
        if isEscaped {
            isEscaped = false
            place += 1
        }
        while place < text.count {
            let byte = text[place]
            if byte == TextBytes.quote {
                unsafe endKey(text.slice(start..<place))
                return place + 1
            }
            place += 1
            if byte == TextBytes.backslash {
                hasEscape = true
                if place == text.count { isEscaped = true } else { place += 1 }
            }
        }
        if key.count <= MemberScanner.nameBytesMax {
            unsafe key.append(contentsOf: text.slice(start..<min(text.count, start + 256)))
        }
        return text.count
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
            let quoted = [TextBytes.quote] + key + [TextBytes.quote]
            guard let decoded = (try? JSONValue(parsing: quoted))?.stringValue else { return }
            key = Array(decoded.utf8)
        }
        let whole = key
        captured = unsafe whole.withUnsafeBytes { unsafe watched($0) }
    }

    /// Which watched name the key is.
    private mutating func watched(_ key: UnsafeRawBufferPointer) -> Int? {
        guard lengths & 1 << UInt64(min(key.count, 63)) != 0, let start = key.baseAddress
        else { return nil }
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
        keptStart = keptCount
        isTooLong = false
        isEscaped = false
        switch byte {
        case TextBytes.quote: state = .string
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
    private mutating func keep(_ text: TextBytes, upTo end: Int) {
        // Otherwise the name is there, and the value has not begun.
        guard state == .string || state == .nested || state == .bare, !isTooLong else { return }
        guard keptCount - keptStart + end - pieceStart <= MemberScanner.valueBytesMax else {
            isTooLong = true
            keptCount = keptStart
            return
        }
        let piece = unsafe text.slice(pieceStart..<end)
        let needed = keptCount + piece.count
        if kept.count < needed {
            kept.append(contentsOf: repeatElement(0, count: max(needed - kept.count, 64)))
        }
        unsafe kept.withUnsafeMutableBytes { kept in
            unsafe UnsafeMutableRawBufferPointer(rebasing: kept[keptCount..<needed])
                .copyMemory(from: piece)
        }
        keptCount = needed
    }

    /// - Returns: where to go on.
    @inline(__always)
    private mutating func endValue(_ text: TextBytes, at end: Int) -> Int {
        if captured != nil { keepWhole(text, at: end) }
        // As most write it: the next name behind one comma.
        if end + 1 < text.count, text[end] == UInt8(ascii: ","), text[end + 1] == TextBytes.quote {
            beginKey()
            return end + 2
        }
        state = .afterValue
        return end
    }

    @inline(__always)
    private mutating func beginKey() {
        if !key.isEmpty { key.removeAll(keepingCapacity: true) }
        hasEscape = false
        isEscaped = false
        state = .key
    }

    private mutating func keepWhole(_ text: TextBytes, at end: Int) {
        guard let index = captured else { return }
        keep(text, upTo: end)
        found[index] = Found(range: valueStart..<offset + end, text: keptStart..<keptCount)
        seen |= 1 << UInt32(index)
        captured = nil
    }
}
