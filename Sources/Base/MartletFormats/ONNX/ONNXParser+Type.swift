// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension ONNXParser {
    /// A type; nil when the message names none, which older exporters write.
    mutating func type(_ message: ProtobufReader) throws(FormatError) -> ONNXType? {
        var reader = message
        try count(reader)
        var type: ONNXType?
        while let field = try reader.next() {
            switch field {
            case 1: type = try tensorType(reader.message(), isSparse: false)
            case 4: type = .sequence(try innerType(reader.message(), field: 1))
            case 5: type = try mapType(reader.message())
            case 7: type = try opaqueType(reader.message())
            case 8: type = try tensorType(reader.message(), isSparse: true)
            case 9: type = .optional(try innerType(reader.message(), field: 1))
            default: break
            }
        }
        return type
    }

    private mutating func tensorType(
        _ message: ProtobufReader, isSparse: Bool
    ) throws(FormatError) -> ONNXType {
        var reader = message
        var element = ONNXDataType.undefined
        var dimensions: [ONNXDimension]?
        while let field = try reader.next() {
            switch field {
            case 1: element = try dataType(&reader)
            case 2: dimensions = try shape(reader.message())
            default: break
            }
        }
        return isSparse
            ? .sparseTensor(element, shape: dimensions) : .tensor(element, shape: dimensions)
    }

    private mutating func innerType(
        _ message: ProtobufReader, field wanted: Int
    ) throws(FormatError) -> ONNXType {
        var reader = message
        var inner: ONNXType?
        while let field = try reader.next() {
            if field == wanted { inner = try type(reader.message()) }
        }
        guard let inner else {
            throw failure(.missing, "a type does not say what it holds", at: reader)
        }
        return inner
    }

    private mutating func mapType(_ message: ProtobufReader) throws(FormatError) -> ONNXType {
        var reader = message
        var key = ONNXDataType.undefined
        while let field = try reader.next() {
            if field == 1 { key = try dataType(&reader) }
        }
        return .map(key: key, value: try innerType(message, field: 2))
    }

    private func opaqueType(_ message: ProtobufReader) throws(FormatError) -> ONNXType {
        var reader = message
        var domain = ""
        var name = ""
        while let field = try reader.next() {
            switch field {
            case 1: domain = try reader.string()
            case 2: name = try reader.string()
            default: break
            }
        }
        return .opaque(domain: domain, name: name)
    }

    private mutating func shape(
        _ message: ProtobufReader
    ) throws(FormatError) -> [ONNXDimension] {
        var reader = message
        var dimensions: [ONNXDimension] = []
        while let field = try reader.next() {
            if field == 1 { dimensions.append(try dimension(reader.message())) }
        }
        return dimensions
    }

    private mutating func dimension(
        _ message: ProtobufReader
    ) throws(FormatError) -> ONNXDimension {
        var reader = message
        try count(reader)
        var dimension = ONNXDimension.unknown
        while let field = try reader.next() {
            switch field {
            case 1:
                // Exporters write -1, and some 0 by another name, for "not known".
                let value = try reader.int64()
                dimension = value < 0 ? .unknown : .fixed(Int(value))
            case 2:
                let symbol = try reader.string()
                dimension = symbol.isEmpty ? .unknown : .symbol(symbol)
            default: break
            }
        }
        return dimension
    }

    func dataType(_ reader: inout ProtobufReader) throws(FormatError) -> ONNXDataType {
        let number = try reader.int32()
        guard let type = ONNXDataType(rawValue: number) else {
            throw failure(.unsupported, "element type \(number) is not known", at: reader)
        }
        return type
    }
}
