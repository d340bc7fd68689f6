// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletStorage

extension ONNXParser {
    mutating func tensor(_ message: ProtobufReader) throws(FormatError) -> ONNXTensor {
        var reader = message
        try count(reader)
        var tensor = ONNXTensor(
            name: "", dataType: .undefined, dimensions: [], elementCount: 1, contents: .none)
        var dimensions: [Int64] = []
        var raw: Range<Int>?
        var dataField: Int?
        var isExternal = false
        var external: [ONNXMetadata] = []
        while let field = try reader.next() {
            switch field {
            case 1: try reader.append(to: &dimensions)
            case 2: tensor.dataType = try dataType(&reader)
            case 4, 5, 6, 7, 10, 11:
                let range = try contentsRange(&reader)
                if range?.isEmpty == true, field != 6 { continue }
                guard dataField == nil || dataField == field else {
                    throw failure(
                        .malformed, "tensor '\(tensor.name)' holds its data twice", at: reader)
                }
                dataField = field
            case 8: tensor.name = try reader.string()
            case 9: raw = try reader.range()
            case 13: external.append(try metadata(reader.message()))
            case 14: isExternal = try reader.int32() == 1
            default: break
            }
        }
        guard tensor.dataType != .undefined else {
            throw failure(.missing, "tensor '\(tensor.name)' names no element type", at: reader)
        }
        try setShape(of: &tensor, dimensions, at: reader)
        if isExternal {
            tensor.contents = .external(try externalData(external, of: tensor, at: reader))
        } else if let raw, dataField == nil || !raw.isEmpty {
            guard dataField == nil else {
                throw failure(
                    .malformed, "tensor '\(tensor.name)' holds its data twice", at: reader)
            }
            tensor.contents = .raw(try rawData(raw, of: tensor, at: reader))
        } else {
            tensor.contents = try typedData(dataField, of: tensor, in: message)
        }
        return tensor
    }

    mutating func sparseTensor(_ message: ProtobufReader) throws(FormatError) -> ONNXSparseTensor {
        var reader = message
        var values: ONNXTensor?
        var indices: ONNXTensor?
        var dimensions: [Int64] = []
        while let field = try reader.next() {
            switch field {
            case 1: values = try tensor(reader.message())
            case 2: indices = try tensor(reader.message())
            case 3: try reader.append(to: &dimensions)
            default: break
            }
        }
        guard let values, let indices else {
            throw failure(.missing, "a sparse tensor lacks its values or indices", at: reader)
        }
        var dense = ONNXTensor(
            name: values.name, dataType: .undefined, dimensions: [], elementCount: 1,
            contents: .none)
        try setShape(of: &dense, dimensions, at: reader)
        return ONNXSparseTensor(values: values, indices: indices, dimensions: dense.dimensions)
    }

    /// Passes over a data field; its place when it is length-delimited.
    private func contentsRange(_ reader: inout ProtobufReader) throws(FormatError) -> Range<Int>? {
        if reader.wireType == .lengthDelimited { return try reader.range() }
        try reader.skip()
        return nil
    }

    private func setShape(
        of tensor: inout ONNXTensor, _ dimensions: [Int64], at reader: ProtobufReader
    ) throws(FormatError) {
        var product = 1
        var isEmpty = false
        for dimension in dimensions {
            guard dimension >= 0 else {
                throw failure(
                    .malformed, "tensor '\(tensor.name)' has the dimension \(dimension)",
                    at: reader)
            }
            if dimension == 0 {
                isEmpty = true
                continue
            }
            let (next, overflow) = product.multipliedReportingOverflow(by: Int(dimension))
            guard !overflow else {
                throw failure(
                    .limitExceeded,
                    "tensor '\(tensor.name)': the product of \(dimensions) overflows", at: reader)
            }
            product = next
        }
        tensor.dimensions = dimensions.map { Int($0) }
        tensor.elementCount = isEmpty ? 0 : product
    }

    private func rawData(
        _ range: Range<Int>, of tensor: ONNXTensor, at reader: ProtobufReader
    ) throws(FormatError) -> ByteRegion {
        guard let expected = tensor.dataType.byteCount(elements: tensor.elementCount) else {
            let message = "tensor '\(tensor.name)' of type \(tensor.dataType) cannot be raw data"
            throw failure(.malformed, message, at: reader)
        }
        guard range.count == expected else {
            let message =
                "tensor '\(tensor.name)': \(tensor.dataType) \(tensor.dimensions) takes "
                + "\(expected) bytes, raw data has \(range.count)"
            throw failure(.malformed, message, at: reader)
        }
        return try slice(range, reader)
    }

    private func typedData(
        _ field: Int?, of tensor: ONNXTensor, in message: ProtobufReader
    ) throws(FormatError) -> ONNXTensor.Contents {
        if tensor.elementCount == 0 { return .none }
        guard let field else {
            throw failure(.missing, "tensor '\(tensor.name)' has no data", at: message)
        }
        guard Self.types(inDataField: field).contains(tensor.dataType) else {
            let message0 = "tensor '\(tensor.name)' keeps \(tensor.dataType) in data field \(field)"
            throw failure(.malformed, message0, at: message)
        }
        let body = try slice(message.offset..<message.end, message)
        return field == 6 ? .strings(body: body) : .typed(field: field, body: body)
    }

    /// The element types that a `*_data` field may hold.
    private static func types(inDataField field: Int) -> Set<ONNXDataType> {
        switch field {
        case 4: [.float32, .complex64]
        case 5:
            [
                .int32, .int16, .int8, .int4, .int2, .uint16, .uint8, .uint4, .uint2, .bool,
                .float16, .bfloat16, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2,
                .float8E5M2FNUZ, .float8E8M0, .float4E2M1, .float6E2M3, .float6E3M2,
            ]
        case 6: [.string]
        case 7: [.int64]
        case 10: [.float64, .complex128]
        case 11: [.uint32, .uint64]
        default: []
        }
    }

    private func externalData(
        _ entries: [ONNXMetadata], of tensor: ONNXTensor, at reader: ProtobufReader
    ) throws(FormatError) -> ONNXExternalData {
        var data = ONNXExternalData(location: "", offset: 0, length: nil)
        for entry in entries {
            switch entry.key {
            case "location": data.location = entry.value
            case "offset", "length":
                guard let number = Int(entry.value), number >= 0 else {
                    let message =
                        "tensor '\(tensor.name)': external \(entry.key) '\(entry.value)' is "
                        + "not a size"
                    throw failure(.malformed, message, at: reader)
                }
                if entry.key == "offset" { data.offset = number } else { data.length = number }
            default: break
            }
        }
        guard PathName.staysInside(data.location) else {
            let message =
                "tensor '\(tensor.name)': external location '\(data.location)' does not stay "
                + "in the model's folder"
            throw failure(.outOfBounds, message, at: reader)
        }
        return data
    }
}
