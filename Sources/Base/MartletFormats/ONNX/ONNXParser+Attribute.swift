// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension ONNXParser {
    /// Everything that an attribute message holds, before its type picks one part.
    private struct AttributeFields {
        var name = ""
        var reference = ""
        var kind: Int32 = 0
        var int: Int64 = 0
        var float: Float = 0
        var string: [UInt8] = []
        var tensor: ONNXTensor?
        var graph: ONNXGraph?
        var sparseTensor: ONNXSparseTensor?
        var type: ONNXType?
        var ints: [Int64] = []
        var floats: [Float] = []
        var strings: [[UInt8]] = []
        var tensors: [ONNXTensor] = []
        var graphs: [ONNXGraph] = []
        var sparseTensors: [ONNXSparseTensor] = []
        var types: [ONNXType] = []
        /// The kind that follows from the field last seen, for IR version 1, which has no `type`.
        var seenKind: Int32 = 0
    }

    mutating func attribute(_ message: ProtobufReader) throws(FormatError) -> ONNXAttribute {
        var reader = message
        try count(reader)
        var fields = AttributeFields()
        while let field = try reader.next() {
            switch field {
            case 1: fields.name = try reader.string()
            case 20: fields.kind = try reader.int32()
            case 21: fields.reference = try reader.string()
            default: try readValue(field, &reader, into: &fields)
            }
        }
        guard !fields.name.isEmpty else {
            throw failure(.missing, "an attribute has no name", at: reader)
        }
        if !fields.reference.isEmpty {
            return ONNXAttribute(name: fields.name, value: nil, reference: fields.reference)
        }
        guard let value = value(of: fields) else {
            let message = "attribute '\(fields.name)' holds no value of its type \(fields.kind)"
            throw failure(.missing, message, at: reader)
        }
        return ONNXAttribute(name: fields.name, value: value)
    }

    private mutating func readValue(
        _ field: Int, _ reader: inout ProtobufReader, into fields: inout AttributeFields
    ) throws(FormatError) {
        switch field {
        case 2: fields.float = try reader.float()
        case 3: fields.int = try reader.int64()
        case 4: fields.string = try copiedBytes(&reader)
        case 5: fields.tensor = try tensor(reader.message())
        case 6: fields.graph = try graph(reader.message())
        case 7: try reader.append(to: &fields.floats)
        case 8: try reader.append(to: &fields.ints)
        case 9:
            try count(reader)
            fields.strings.append(try copiedBytes(&reader))
        case 10: fields.tensors.append(try tensor(reader.message()))
        case 11: fields.graphs.append(try graph(reader.message()))
        case 14: fields.type = try type(reader.message())
        case 15:
            if let type = try type(reader.message()) { fields.types.append(type) }
        case 22: fields.sparseTensor = try sparseTensor(reader.message())
        case 23: fields.sparseTensors.append(try sparseTensor(reader.message()))
        default: return
        }
        fields.seenKind = Self.kindOfField[field] ?? 0
    }

    /// `AttributeType` by the number of the field that holds such a value.
    private static let kindOfField: [Int: Int32] = [
        2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 7, 9: 8, 10: 9, 11: 10, 14: 13, 15: 14, 22: 11,
        23: 12,
    ]

    private func value(of fields: AttributeFields) -> ONNXAttributeValue? {
        switch fields.kind == 0 ? fields.seenKind : fields.kind {
        case 1: .float(fields.float)
        case 2: .int(fields.int)
        case 3: .string(fields.string)
        case 4: fields.tensor.map { .tensor($0) }
        case 5: fields.graph.map { .graph($0) }
        case 6: .floats(fields.floats)
        case 7: .ints(fields.ints)
        case 8: .strings(fields.strings)
        case 9: .tensors(fields.tensors)
        case 10: .graphs(fields.graphs)
        case 11: fields.sparseTensor.map { .sparseTensor($0) }
        case 12: .sparseTensors(fields.sparseTensors)
        case 13: fields.type.map { .type($0) }
        case 14: .types(fields.types)
        default: nil
        }
    }

    private func copiedBytes(_ reader: inout ProtobufReader) throws(FormatError) -> [UInt8] {
        let bytes = unsafe try reader.bytes()
        return unsafe [UInt8](bytes)
    }
}
