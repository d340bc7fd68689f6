// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import MartletTensor

/// Tensors from what people type, and as people read them.
enum TensorText {
    /// How many elements of a tensor are shown.
    private static let shownMax = 12

    // MARK: Reading

    /// Reads `[[1, 2], [3, 4]]`, a lone number, or texts, as a tensor of `type`.
    /// - Throws: `CommandFailure` when rows differ in length or an element does not fit the type.
    static func parse(_ text: String, as type: ElementType) throws -> Tensor {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: text)
        } catch {
            guard type == .bytes else { throw CommandFailure("'\(text)' is not JSON: \(error)") }
            value = .array([.string(text)])
        }
        var shape: [Int] = []
        var leaves: [JSONValue] = []
        try flatten(value, depth: 0, shape: &shape, into: &leaves)
        guard let shape = Shape(shape) else {
            throw CommandFailure("more than \(Shape.rankMax) dimensions")
        }
        return try tensor(leaves, shape: shape, type: type)
    }

    private static func flatten(
        _ value: JSONValue, depth: Int, shape: inout [Int], into leaves: inout [JSONValue]
    ) throws {
        guard let items = value.arrayValue else {
            guard depth == shape.count else { throw CommandFailure("rows differ in depth") }
            leaves.append(value)
            return
        }
        if depth == shape.count {
            guard leaves.isEmpty else { throw CommandFailure("rows differ in depth") }
            shape.append(items.count)
        }
        guard shape[depth] == items.count else { throw CommandFailure("rows differ in length") }
        for item in items { try flatten(item, depth: depth + 1, shape: &shape, into: &leaves) }
    }

    private static func tensor(
        _ leaves: [JSONValue], shape: Shape, type: ElementType
    ) throws -> Tensor {
        var bytes: [UInt8] = []
        for leaf in leaves { try append(leaf, as: type, to: &bytes) }
        let storage = TensorStorage(byteCount: bytes.count)
        unsafe storage.mutableBytes.copyBytes(from: bytes)
        return try Tensor(
            elementType: type, shape: shape, storage: storage, byteCount: bytes.count)
    }

    private static func append(
        _ value: JSONValue, as type: ElementType, to bytes: inout [UInt8]
    ) throws {
        func integer<Number: FixedWidthInteger>(_: Number.Type) throws {
            guard let whole = value.intValue, let number = Number(exactly: whole) else {
                throw CommandFailure("\(value) is not a \(type)")
            }
            append(number, to: &bytes)
        }
        switch type {
        case .float32:
            append(Float(try number(value, type)).bitPattern, to: &bytes)
        case .float64:
            append(try number(value, type).bitPattern, to: &bytes)
        case .bool:
            guard let flag = value.boolValue else {
                throw CommandFailure("\(value) is not true or false")
            }
            bytes.append(flag ? 1 : 0)
        case .int8: try integer(Int8.self)
        case .int16: try integer(Int16.self)
        case .int32: try integer(Int32.self)
        case .int64: try integer(Int64.self)
        case .uint8: try integer(UInt8.self)
        case .uint16: try integer(UInt16.self)
        case .uint32: try integer(UInt32.self)
        case .uint64: try integer(UInt64.self)
        case .bytes:
            guard let text = value.stringValue else { throw CommandFailure("\(value) is no text") }
            append(UInt32(text.utf8.count), to: &bytes)
            bytes += text.utf8
        default:
            throw CommandFailure("\(type) values cannot be typed in; give an .npy file")
        }
    }

    private static func number(_ value: JSONValue, _ type: ElementType) throws -> Double {
        guard let number = value.doubleValue else {
            throw CommandFailure("\(value) is not a \(type)")
        }
        return number
    }

    private static func append<Number: FixedWidthInteger>(
        _ number: Number, to bytes: inout [UInt8]
    ) {
        unsafe withUnsafeBytes(of: number.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    /// One BYTES element holding `content`, in `rank` dimensions.
    static func bytes(_ content: [UInt8], rank: Int) throws -> Tensor {
        var element: [UInt8] = []
        append(UInt32(content.count), to: &element)
        element += content
        let storage = TensorStorage(byteCount: element.count)
        unsafe storage.mutableBytes.copyBytes(from: element)
        return try Tensor(
            elementType: .bytes, shape: Shape(repeating: 1, rank: min(rank, Shape.rankMax)),
            storage: storage, byteCount: element.count)
    }

    // MARK: Showing

    /// "FP32 [1, 10]  0.1 0.2 …".
    static func describe(_ tensor: Tensor) -> String {
        let type = tensor.elementType.protocolName ?? "\(tensor.elementType)"
        let count = tensor.shape.elementCountChecked ?? 0
        let shown = elements(tensor, count: min(count, shownMax)).joined(separator: " ")
        return "\(type) \(tensor.shape)  \(shown)\(count > shownMax ? " …" : "")"
    }

    private static func elements(_ tensor: Tensor, count: Int) -> [String] {
        let bytes = unsafe tensor.bytes
        func at<Value: BitwiseCopyable>(_ index: Int, _: Value.Type) -> Value {
            unsafe bytes.loadUnaligned(
                fromByteOffset: index * MemoryLayout<Value>.size, as: Value.self)
        }
        return (0..<count).compactMap { index -> String? in
            switch tensor.elementType {
            case .float32: rounded(Double(at(index, Float.self)))
            case .float64: rounded(at(index, Double.self))
            case .float16: rounded(Double(at(index, Float16.self)))
            case .bfloat16:
                rounded(Double(Float(bitPattern: UInt32(at(index, UInt16.self)) << 16)))
            case .int8: "\(at(index, Int8.self))"
            case .int16: "\(at(index, Int16.self))"
            case .int32: "\(at(index, Int32.self))"
            case .int64: "\(at(index, Int64.self))"
            case .uint8: "\(at(index, UInt8.self))"
            case .uint16: "\(at(index, UInt16.self))"
            case .uint32: "\(at(index, UInt32.self))"
            case .uint64: "\(at(index, UInt64.self))"
            case .bool: at(index, UInt8.self) == 0 ? "false" : "true"
            case .bytes: text(of: tensor, at: index)
            default: nil
            }
        }
    }

    private static func rounded(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
        return "\((value * 1e5).rounded() / 1e5)"
    }

    private static func text(of tensor: Tensor, at index: Int) -> String? {
        let bytes = unsafe tensor.bytes
        var offset = 0
        for element in 0...index {
            guard offset + 4 <= bytes.count else { return nil }
            let length = Int(
                UInt32(
                    littleEndian: unsafe bytes.loadUnaligned(
                        fromByteOffset: offset, as: UInt32.self)))
            guard length <= bytes.count - offset - 4 else { return nil }
            if element == index {
                return unsafe String(
                    decoding: bytes[(offset + 4)..<(offset + 4 + length)], as: UTF8.self)
            }
            offset += 4 + length
        }
        return nil
    }
}
