// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import MartletTensor

/// One input as its JSON object describes it, before it has a tensor.
struct InputDraft {
    var name = ""
    var datatype: String?
    var shape: [Int64]?
    /// What the transport does not need itself.
    var parameters: Parameters = [:]
    private var binaryByteCount: ParameterValue?
    /// Data that was read as it was met, because type and shape stood before it.
    private var tensor: Tensor?
    /// A bookmark at the data, when type or shape follow it.
    private var data: JSONScanner?

    private static let rankMax = 64

    init(_ scanner: inout JSONScanner) throws {
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            if key == "data" {
                if shape != nil, datatype != nil, !name.isEmpty {
                    tensor = try read(&scanner)
                } else {
                    data = scanner
                    try scanner.skipValue()
                }
            } else if key == "name" {
                name = try scanner.readString()
            } else if key == "datatype" {
                datatype = try scanner.readString()
            } else if key == "shape" {
                shape = try InputDraft.readShape(&scanner)
            } else if key == "parameters" {
                binaryByteCount = nil
                parameters = try ParameterDecoder.read(&scanner) { (key, scanner) in
                    guard key == "binary_data_size" else { return false }
                    binaryByteCount = try ParameterDecoder.parameter(
                        try scanner.readValue(), "binary_data_size")
                    return true
                }
            } else {
                try scanner.skipValue()
            }
        }
        guard !name.isEmpty else {
            throw ServingError(.invalidArgument, "an input in the request has no 'name'")
        }
    }

    private static func readShape(_ scanner: inout JSONScanner) throws -> [Int64] {
        var shape: [Int64] = []
        try scanner.beginArray()
        while try scanner.nextElement() {
            guard shape.count < rankMax else {
                throw ServingError(.invalidArgument, "a shape of more than \(rankMax) dimensions")
            }
            shape.append(try scanner.readInt64())
        }
        return shape
    }

    func elementType() throws(ServingError) -> ElementType {
        guard let datatype else {
            throw ServingError(.invalidArgument, "input '\(name)' has no 'datatype'")
        }
        return try ProtocolRequest.elementType(datatype, of: name)
    }

    func checkedShape() throws(ServingError) -> Shape {
        guard let shape else {
            throw ServingError(.invalidArgument, "input '\(name)' has no 'shape'")
        }
        return try ProtocolRequest.shape(shape, of: name)
    }

    /// `binary_data_size`, when the parameters give it.
    func binarySize() throws(ServingError) -> Int? {
        switch binaryByteCount {
        case nil: return nil
        case .int(let size)? where size >= 0: return Int(size)
        default:
            throw ServingError(
                .invalidArgument,
                "input '\(name)': binary_data_size must be a whole number of at least 0")
        }
    }

    /// Whether its data lies behind the JSON, and nowhere else.
    var isBinary: Bool {
        binaryByteCount != nil && tensor == nil && data == nil
            && parameters["shared_memory_region"] == nil
    }

    func refuseData(_ reason: String) throws(ServingError) {
        guard tensor == nil, data == nil else {
            throw ServingError(
                .invalidArgument, "input '\(name)' must not have 'data': \(reason)")
        }
    }

    /// The tensor that the JSON data makes.
    func jsonTensor() throws -> Tensor {
        if let tensor { return tensor }
        guard var data else {
            throw ServingError(
                .invalidArgument, "input '\(name)' has no 'data' and no binary_data_size")
        }
        return try read(&data)
    }

    /// Reads flat or nested data into memory made for the shape.
    private func read(_ scanner: inout JSONScanner) throws -> Tensor {
        let type = try elementType()
        let shape = try checkedShape()
        let elements = shape.elementCountChecked ?? 0
        // Every element takes a byte and a comma at least; a shape that promises more is a lie, and
        // memory for it is not to be had.
        guard elements <= scanner.remaining / 2 + 1 else {
            throw ServingError(
                .invalidArgument,
                "input '\(name)': shape \(shape) has \(elements) elements, which the data cannot "
                    + "hold")
        }
        let storage: TensorStorage
        let found: JSONArrayShape
        do {
            if type == .bytes {
                var bytes: [UInt8] = []
                found = try scanner.readByteStrings(appendingTo: &bytes)
                storage = TensorStorage(byteCount: bytes.count)
                unsafe storage.mutableBytes.copyBytes(from: bytes)
            } else {
                guard let kind = type.jsonNumbers else {
                    throw ServingError(
                        .invalidArgument,
                        "sending \(datatype ?? "") data via JSON is not supported; use the binary "
                            + "data format for input '\(name)'")
                }
                storage = TensorStorage(byteCount: elements * kind.byteWidth)
                found = try unsafe scanner.readNumbers(into: storage.mutableBytes, as: kind)
            }
        } catch let error as JSONError {
            throw ServingError(
                .invalidArgument,
                "input '\(name)' of \(datatype ?? "") \(shape): \(error.message)", cause: error)
        }
        try check(found, shape)
        return try Tensor(
            elementType: type, shape: shape, storage: storage,
            byteCount: type == .bytes ? storage.byteCount : nil)
    }

    private func check(_ found: JSONArrayShape, _ shape: Shape) throws(ServingError) {
        let expected = shape.elementCountChecked ?? 0
        guard found.count == expected else {
            throw ServingError(
                .invalidArgument,
                "input '\(name)': expected \(expected) elements for shape \(shape), got "
                    + "\(found.count)")
        }
        guard found.rank > 1 else { return }
        let dimensions = (0..<found.rank).map { found[$0] }
        guard found.count == 0 || dimensions == Array(shape) else {
            throw ServingError(
                .invalidArgument,
                "input '\(name)': the data is nested as \(dimensions), the shape is \(shape)")
        }
    }
}

extension ElementType {
    /// How the type's elements are read from and written to JSON; nil where they only travel as
    /// bytes.
    var jsonNumbers: JSONNumberKind? {
        switch self {
        case .bool: .bool
        case .int8: .int8
        case .int16: .int16
        case .int32: .int32
        case .int64: .int64
        case .uint8: .uint8
        case .uint16: .uint16
        case .uint32: .uint32
        case .uint64: .uint64
        case .float32: .float32
        case .float64: .float64
        default: nil
        }
    }
}
