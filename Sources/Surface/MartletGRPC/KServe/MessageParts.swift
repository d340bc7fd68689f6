// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletServing

/// A request that names a model and maybe a version, as most do.
struct ModelReference {
    var name = ""
    var version: String?

    init(_ reader: inout ProtobufReader) throws {
        var version = ""
        while let field = try reader.next() {
            switch field {
            case 1: name = try reader.string()
            case 2: version = try reader.string()
            default: break
            }
        }
        self.version = try ProtocolRequest.version(version)
    }
}

extension ProtobufReader {
    /// An entry of a map with string keys; `value` reads the entry's value field.
    mutating func mapEntry(
        _ value: (inout ProtobufReader) throws -> Void
    ) throws -> String {
        var entry = try message()
        var key = ""
        while let field = try entry.next() {
            switch field {
            case 1: key = try entry.string()
            case 2: try value(&entry)
            default: break
            }
        }
        return key
    }
}

extension ProtobufWriter {
    /// An entry of a map with string keys.
    mutating func mapEntry(
        _ field: Int, key: String, _ value: (inout ProtobufWriter) -> Void
    ) {
        let mark = beginMessage(field)
        string(1, key)
        value(&self)
        endMessage(mark)
    }

    /// A string, left out when it is empty, as proto3 does.
    mutating func text(_ field: Int, _ value: String) {
        if !value.isEmpty { string(field, value) }
    }

    /// A number, left out when it is zero, as proto3 does.
    mutating func number(_ field: Int, _ value: UInt64) {
        if value != 0 { uint64(field, value) }
    }

    mutating func integer(_ field: Int, _ value: Int) {
        if value != 0 { int64(field, Int64(value)) }
    }

    mutating func flag(_ field: Int, _ value: Bool) {
        if value { bool(field, true) }
    }
}
