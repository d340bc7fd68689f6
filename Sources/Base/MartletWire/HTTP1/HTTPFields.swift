// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A message's header fields: the head's bytes, kept once, and a table of offsets into them.
/// No string is made until one is asked for.
public struct HTTPFields: Sendable {
    struct Field: Sendable {
        var name: Range<Int>
        var value: Range<Int>
    }

    /// The head as it was received.
    public internal(set) var bytes: [UInt8] = []
    var fields: [Field] = []

    init() {}

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
        for offset in 0..<range.count
        where unsafe lowercased(bytes[range.lowerBound + offset]) != word.utf8Start[offset] {
            return false
        }
        return true
    }

    /// Whether a comma-separated field of that name lists `word`; both given in lower case.
    public func lists(_ name: StaticString, _ word: StaticString) -> Bool {
        for field in fields where matches(field.name, name) {
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
