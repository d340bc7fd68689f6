// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletServing

/// An `InferInputTensor` as far as it can be understood before its data is known.
struct InputDraft {
    var name = ""
    var datatype = ""
    var shape: [Int64] = []
    var parameters: Parameters = [:]
    /// Where the typed contents lie in the message.
    var contents: Range<Int>?

    /// More dimensions than this are not even listed.
    private static let dimensionCountMax = 64

    init(_ reader: inout ProtobufReader) throws {
        while let field = try reader.next() {
            switch field {
            case 1: name = try reader.string()
            case 2: datatype = try reader.string()
            case 3: try readShape(&reader)
            case 4: try ParameterReader.entry(&reader, into: &parameters)
            case 5: contents = try reader.range()
            default: break
            }
        }
    }

    private mutating func readShape(_ reader: inout ProtobufReader) throws {
        if reader.wireType == .lengthDelimited {
            var inner = try reader.packed()
            while !inner.isAtEnd { try append(Int64(bitPattern: try inner.rawVarint())) }
        } else {
            try append(try reader.int64())
        }
    }

    private mutating func append(_ dimension: Int64) throws(ServingError) {
        guard shape.count < InputDraft.dimensionCountMax else {
            throw ServingError(
                .invalidArgument,
                "input '\(name)': shape has more than \(InputDraft.dimensionCountMax) dimensions")
        }
        shape.append(dimension)
    }
}

/// Reads maps of `InferParameter`.
enum ParameterReader {
    private static let countMax = 1_024

    static func entry(_ reader: inout ProtobufReader, into parameters: inout Parameters) throws {
        var value: ParameterValue?
        let key = try reader.mapEntry { value = try ParameterReader.value(&$0) }
        guard parameters.count < countMax else {
            throw ServingError(.invalidArgument, "more than \(countMax) parameters")
        }
        guard let value else {
            throw ServingError(.invalidArgument, "parameter '\(key)' has no value")
        }
        parameters[key] = value
    }

    private static func value(_ entry: inout ProtobufReader) throws -> ParameterValue? {
        var value: ParameterValue?
        var reader = try entry.message()
        while let field = try reader.next() {
            switch field {
            case 1: value = .bool(try reader.bool())
            case 2: value = .int(try reader.int64())
            case 3: value = .string(try reader.string())
            case 4: value = .double(try reader.double())
            case 5: value = .uint(try reader.uint64())
            default: break
            }
        }
        return value
    }
}
