// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// A message's header fields: the head's bytes, kept once, and a table of offsets into them.
/// No string is made until one is asked for.
public struct HTTPFields: Sendable {
    struct Field: Sendable {
        var name: Range<Int>
        var value: Range<Int>
        var kind: KnownField
    }

    /// The head as it was received.
    public internal(set) var bytes: [UInt8] = []
    private(set) var fields: [Field] = []
    /// The kinds that are there, and those that are there twice.
    private var present: UInt32 = 0
    private var repeated: UInt32 = 0

    init() {}

    /// Begins another head. The fields of the one before stay until others take their places.
    mutating func begin() {
        present = 0
        repeated = 0
    }

    /// Where line number `line` (the first is the one before all fields) of the head before ended
    /// if it began at `start`; nil when there was none.
    func end(ofLine line: Int, from start: Int) -> Int? {
        if line < 0 {
            guard start == 0 else { return nil }
        } else {
            guard line < fields.count, fields[line].name.lowerBound == start else { return nil }
        }
        return line + 1 < fields.count ? fields[line + 1].name.lowerBound : bytes.count - 2
    }

    private mutating func mark(_ kind: KnownField) {
        let mark = kind.mark
        repeated |= present & mark
        present |= mark
    }

    /// The field of that line is what it was in the head before.
    mutating func keep(_ line: Int) -> KnownField {
        let kind = fields[line].kind
        mark(kind)
        return kind
    }

    mutating func put(_ field: Field, at line: Int) {
        mark(field.kind)
        if line < fields.count { fields[line] = field } else { fields.append(field) }
    }

    /// There are no more fields than these.
    mutating func end(count: Int) {
        if fields.count > count { fields.removeSubrange(count...) }
    }

    /// The kinds that say how a message is framed, if they are there; all of them when one is there
    /// twice.
    var framing: UInt32 {
        let kinds =
            KnownField.host.mark | KnownField.contentLength.mark
            | KnownField.transferEncoding.mark | KnownField.connection.mark
            | KnownField.expect.mark
        return repeated & kinds == 0 ? present & kinds : .max
    }

    @inline(__always)
    package func has(_ kind: KnownField) -> Bool { present & kind.mark != 0 }

    func repeats(_ kind: KnownField) -> Bool { repeated & kind.mark != 0 }

    /// Where the first field of that kind has its value in `bytes`.
    @inline(__always)
    package func range(_ kind: KnownField) -> Range<Int>? {
        has(kind) ? search(kind) : nil
    }

    private func search(_ kind: KnownField) -> Range<Int>? {
        for field in fields where field.kind == kind { return field.value }
        return nil
    }

    func occurrences(_ kind: KnownField) -> Int {
        repeats(kind) ? fields.count { $0.kind == kind } : has(kind) ? 1 : 0
    }

    public var count: Int { fields.count }

    /// Where the first field of that name (given in lower case) has its value in `bytes`.
    public func range(of name: StaticString) -> Range<Int>? {
        for field in fields where matches(field.name, name) { return field.value }
        return nil
    }

    /// The first value of that name (given in lower case).
    public subscript(name: StaticString) -> String? {
        range(of: name).map(string)
    }

    /// The first value of that name, whatever its case.
    public func value(named name: String) -> String? {
        let wanted = name.lowercased()
        for field in fields where string(field.name).lowercased() == wanted {
            return string(field.value)
        }
        return nil
    }

    /// How many fields have that name (given in lower case).
    public func occurrences(of name: StaticString) -> Int {
        fields.reduce(0) { $0 + (matches($1.name, name) ? 1 : 0) }
    }

    /// Calls with every name and value, in order.
    public func forEach(_ body: (_ name: String, _ value: String) -> Void) {
        for field in fields { body(string(field.name), string(field.value)) }
    }

    public func string(_ range: Range<Int>) -> String {
        String(decoding: bytes[range], as: UTF8.self)
    }

    /// Whether the bytes there are `word` (given in lower case), whatever their case.
    public func matches(_ range: Range<Int>, _ word: StaticString) -> Bool {
        guard range.count == word.utf8CodeUnitCount else { return false }
        return unsafe bytes.withUnsafeBytes { mine in
            unsafe isLowercase(
                WireBytes(UnsafeRawBufferPointer(rebasing: mine[range])),
                WireBytes(UnsafeRawBufferPointer(start: word.utf8Start, count: range.count)))
        }
    }

    /// Whether a comma-separated field of that kind lists `word`, given in lower case.
    func lists(_ kind: KnownField, _ word: StaticString) -> Bool {
        guard has(kind) else { return false }
        for field in fields where field.kind == kind {
            for element in elements(field.value) where matches(element, word) { return true }
        }
        return false
    }

    /// The elements of a comma-separated value, trimmed.
    public func elements(_ range: Range<Int>) -> [Range<Int>] {
        bytes[range].split(separator: UInt8(ascii: ",")).map {
            trimmed($0.startIndex..<$0.endIndex)
        }
    }

    /// Whether the bytes there are `other`.
    package func equals(_ range: Range<Int>, _ other: [UInt8]) -> Bool {
        guard range.count == other.count else { return false }
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "out of bounds")
        return unsafe bytes.withUnsafeBytes { mine in
            unsafe other.withUnsafeBytes { theirs in
                guard let start = mine.baseAddress, let against = theirs.baseAddress else {
                    return true
                }
                return unsafe memcmp(start + range.lowerBound, against, theirs.count) == 0
            }
        }
    }

    /// As `equals`; takes the same time wherever the bytes differ.
    package func equalsInConstantTime(_ range: Range<Int>, _ other: [UInt8]) -> Bool {
        guard range.count == other.count else { return false }
        return unsafe bytes.withUnsafeBytes { mine in
            unsafe other.withUnsafeBytes { other in
                let mine = unsafe WireBytes(UnsafeRawBufferPointer(rebasing: mine[range]))
                let other = unsafe WireBytes(other)
                var difference: UInt64 = 0
                var place = 0
                while place + 8 <= other.count {
                    difference |= mine.word(at: place) ^ other.word(at: place)
                    place += 8
                }
                while place < other.count {
                    difference |= UInt64(mine[place] ^ other[place])
                    place += 1
                }
                return difference == 0
            }
        }
    }

    func trimmed(_ range: Range<Int>) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
        while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
        return start..<end
    }

    /// Digits only, without sign or white space; nil otherwise or on overflow.
    public func decimal(_ range: Range<Int>) -> Int? {
        guard !range.isEmpty, range.count <= 19 else { return nil }
        var value = 0
        for place in range {
            let digit = bytes[place] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (tens, high) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Int(digit))
            if high || carry { return nil }
            value = sum
        }
        return value
    }
}
