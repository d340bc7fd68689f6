// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A decoded header block: all names and values in one array, and a table of offsets into it.
/// No string is made until one is asked for.
package struct HTTP2Fields: Sendable {
    package struct Field: Sendable {
        var start: Int32
        var valueStart: Int32
        var end: Int32
    }

    /// Names and values, one after the other.
    package internal(set) var bytes: [UInt8] = []
    package internal(set) var fields: [Field] = []

    package init() {}

    /// The block that these fields are; for tests and for what is made here.
    package init(_ pairs: [(String, String)]) {
        for (name, value) in pairs { append(Array(name.utf8), Array(value.utf8)) }
    }

    package var count: Int { fields.count }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
    }

    mutating func append(_ name: [UInt8], _ value: [UInt8]) {
        let start = bytes.count
        bytes.append(contentsOf: name)
        bytes.append(contentsOf: value)
        add(start: start, valueStart: start + name.count)
    }

    /// Makes a field of the bytes from `start` to the end.
    mutating func add(start: Int, valueStart: Int) {
        fields.append(
            Field(
                start: Int32(truncatingIfNeeded: start),
                valueStart: Int32(truncatingIfNeeded: valueStart),
                end: Int32(truncatingIfNeeded: bytes.count)))
    }

    package func nameRange(_ index: Int) -> Range<Int> {
        Int(fields[index].start)..<Int(fields[index].valueStart)
    }

    package func valueRange(_ index: Int) -> Range<Int> {
        Int(fields[index].valueStart)..<Int(fields[index].end)
    }

    package func name(_ index: Int) -> String {
        String(decoding: bytes[nameRange(index)], as: UTF8.self)
    }

    package func value(_ index: Int) -> String {
        String(decoding: bytes[valueRange(index)], as: UTF8.self)
    }

    /// Whether the bytes there are `word`.
    package func matches(_ range: Range<Int>, _ word: StaticString) -> Bool {
        guard range.count == word.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count
        where unsafe bytes[range.lowerBound + offset] != word.utf8Start[offset] {
            return false
        }
        return true
    }

    /// The first value of a name.
    package func first(_ name: String) -> String? {
        for index in fields.indices where bytes[nameRange(index)].elementsEqual(name.utf8) {
            return value(index)
        }
        return nil
    }
}
