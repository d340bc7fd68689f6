// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

/// Watches a JSON object go by in pieces and keeps its top-level members of certain names, with
/// where their values stand. What a gateway must know of a body that it does not hold.
///
/// Not a validator: text that is no JSON finds nothing, and is refused by whoever reads it in the
/// end. What it must not do is to read a member differently from that reader: names with escapes
/// are decoded, and a watched name that comes twice is told of (`hasDuplicate`), because readers
/// differ in which one they take.
///
/// Cost: about a nanosecond per byte; allocates for what it keeps only.
package struct MemberScanner: Sendable {
    /// A watched member's value.
    package struct Member: Sendable, Hashable {
        /// Where the value stands in the whole text.
        package var range: Range<Int>
        /// The value's text; empty when it was longer than `valueBytesMax`.
        package var text: [UInt8]
    }

    private enum State {
        case start, memberOrEnd, key, colon, value, bare, afterValue, ended, broken
    }

    private static let nameBytesMax = 128
    package static let valueBytesMax = 16 << 10

    private let names: [StaticString]
    /// In the order of the names; nil: not seen (whole) yet.
    package private(set) var members: [Member?]
    package private(set) var hasDuplicate = false
    /// Bytes looked at.
    package private(set) var offset = 0

    private var state = State.start
    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    private var hasEscape = false
    private var key: [UInt8] = []
    private var captured: Int?
    private var valueStart = 0
    private var value: [UInt8] = []
    private var isTooLong = false

    package init(names: [StaticString]) {
        self.names = names
        members = Array(repeating: nil, count: names.count)
    }

    /// Begins anew with another text; keeps its memory.
    package mutating func reset() {
        for index in members.indices { members[index] = nil }
        hasDuplicate = false
        offset = 0
        state = .start
        depth = 0
        isInString = false
        isEscaped = false
        captured = nil
        isTooLong = false
    }

    /// Whether the object has ended.
    package var isComplete: Bool { state == .ended }

    package mutating func read(_ bytes: UnsafeRawBufferPointer) {
        var place = 0
        while place < bytes.count {
            switch state {
            case .ended, .broken:
                offset += bytes.count - place
                return
            case .value where isInString || depth > 1:
                place = unsafe readNested(bytes, from: place)
            default:
                let byte = unsafe bytes[place]
                step(byte)
                place += 1
                offset += 1
            }
        }
    }

    /// Inside a string or a container: nothing matters but where it ends.
    private mutating func readNested(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var place = start
        let count = bytes.count
        var isInString = isInString
        var isEscaped = isEscaped
        var depth = depth
        var isDone = false
        while place < count, !isDone {
            if isInString {
                if isEscaped {
                    isEscaped = false
                    place += 1
                    continue
                }
                place = unsafe MemberScanner.skipPlain(bytes, from: place)
                guard place < count else { break }
                let byte = unsafe bytes[place]
                place += 1
                if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                    isDone = depth == 1
                }
                continue
            }
            let byte = unsafe bytes[place]
            place += 1
            if byte == UInt8(ascii: "\"") {
                isInString = true
            } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                depth += 1
            } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
                depth -= 1
                isDone = depth == 1
            }
        }
        self.isInString = isInString
        self.isEscaped = isEscaped
        self.depth = depth
        if captured != nil { unsafe keep(UnsafeRawBufferPointer(rebasing: bytes[start..<place])) }
        offset += place - start
        if isDone { endValue(at: offset) }
        return place
    }

    /// Steps over text without quotes and backslashes, eight bytes at a time.
    private static func skipPlain(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        var place = start
        while place + 8 <= bytes.count {
            let word = unsafe bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            let quotes = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
            let slashes = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
            let found =
                ((quotes &- ones) & ~quotes | (slashes &- ones) & ~slashes) & highs
            // The lowest mark is exact; a borrow can only add marks above it.
            if found != 0 { return place + found.littleEndian.trailingZeroBitCount / 8 }
            place += 8
        }
        while place < bytes.count {
            let byte = unsafe bytes[place]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return place }
            place += 1
        }
        return place
    }

    private mutating func keep(_ bytes: UnsafeRawBufferPointer) {
        guard value.count + bytes.count <= MemberScanner.valueBytesMax else {
            isTooLong = true
            return
        }
        unsafe value.append(contentsOf: bytes)
    }

    private mutating func keep(_ byte: UInt8) {
        guard captured != nil else { return }
        if value.count < MemberScanner.valueBytesMax {
            value.append(byte)
        } else {
            isTooLong = true
        }
    }

    private mutating func step(_ byte: UInt8) {
        let isSpace = byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
        switch state {
        case .start:
            if byte == UInt8(ascii: "{") {
                depth = 1
                state = .memberOrEnd
            } else if !isSpace {
                state = .broken
            }
        case .memberOrEnd:
            if byte == UInt8(ascii: "\"") {
                key.removeAll(keepingCapacity: true)
                hasEscape = false
                isEscaped = false
                state = .key
            } else if byte == UInt8(ascii: "}") {
                state = .ended
            } else if !isSpace {
                state = .broken
            }
        case .key: stepKey(byte)
        case .colon:
            if byte == UInt8(ascii: ":") {
                state = .value
                valueStart = -1
            } else if !isSpace {
                state = .broken
            }
        case .value: if !isSpace { beginValue(byte) }
        case .bare:
            if byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || isSpace {
                endValue(at: offset)
                if !isSpace { step(byte) }
            } else {
                keep(byte)
            }
        case .afterValue:
            if byte == UInt8(ascii: ",") {
                state = .memberOrEnd
            } else if byte == UInt8(ascii: "}") {
                state = .ended
            } else if !isSpace {
                state = .broken
            }
        case .ended, .broken: break
        }
    }

    private mutating func stepKey(_ byte: UInt8) {
        if isEscaped {
            isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
            isEscaped = true
            hasEscape = true
        } else if byte == UInt8(ascii: "\"") {
            captured = watched()
            state = .colon
            return
        }
        if key.count <= MemberScanner.nameBytesMax { key.append(byte) }
    }

    /// Which watched name the key is.
    private mutating func watched() -> Int? {
        if hasEscape {
            let quoted = [UInt8(ascii: "\"")] + key + [UInt8(ascii: "\"")]
            guard let decoded = (try? JSONValue(parsing: quoted))?.stringValue else { return nil }
            key = Array(decoded.utf8)
        }
        for index in names.indices where isKey(names[index]) {
            if members[index] != nil {
                hasDuplicate = true
                return nil
            }
            return index
        }
        return nil
    }

    private func isKey(_ name: StaticString) -> Bool {
        guard name.utf8CodeUnitCount == key.count else { return false }
        for place in 0..<key.count where unsafe name.utf8Start[place] != key[place] {
            return false
        }
        return true
    }

    private mutating func beginValue(_ byte: UInt8) {
        valueStart = offset
        isTooLong = false
        value.removeAll(keepingCapacity: true)
        keep(byte)
        switch byte {
        case UInt8(ascii: "\""):
            isInString = true
            isEscaped = false
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth = 2
        case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"): state = .broken
        default: state = .bare
        }
    }

    private mutating func endValue(at end: Int) {
        state = .afterValue
        depth = 1
        guard let index = captured else { return }
        captured = nil
        members[index] = Member(range: valueStart..<end, text: isTooLong ? [] : value)
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
