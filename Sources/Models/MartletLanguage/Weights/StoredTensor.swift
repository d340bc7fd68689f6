// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import MartletTensor

/// A weight as its file stores it: bytes in the mapped file, not yet looked at.
struct StoredTensor {
    var name: String
    /// GGUF's name of the type: "F32", "BF16", "Q4_0", ….
    var format: String
    /// Slowest first.
    var dimensions: [Int]
    var bytes: ByteRegion

    var isPlain: Bool { ["F32", "F16", "BF16"].contains(format) }

    init(_ source: GGUFTensor) {
        name = source.name
        format = source.type.name
        dimensions = source.dimensions
        bytes = source.bytes
    }

    init(_ source: SafetensorsTensor) {
        name = source.name
        format =
            switch source.dataType {
            case .float32: "F32"
            case .float16: "F16"
            case .bfloat16: "BF16"
            default: "\(source.dataType)"
            }
        dimensions = source.dimensions
        bytes = source.bytes
    }

    /// A matrix [outputs, inputs] as a constant: a view of the file, blocks as bytes of rows.
    func matrix() throws -> Tensor {
        guard dimensions.count == 2 else {
            throw TensorError(.invalidShape, "'\(name)' has \(dimensions.count) dimensions")
        }
        switch format {
        case "F32": return try view(.float32, dimensions, alignment: 4)
        case "F16": return try view(.float16, dimensions, alignment: 2)
        case "BF16": return try view(.bfloat16, dimensions, alignment: 2)
        default:
            let rows = dimensions[0]
            let rowBytes = rows == 0 ? 0 : bytes.count / rows
            return try view(.uint8, [rows, rowBytes], alignment: 1)
        }
    }

    /// A vector of plain floats, widened.
    func floats() throws -> [Float] {
        let count = dimensions.reduce(1, *)
        guard isPlain, count <= bytes.count / (format == "F32" ? 4 : 2) else {
            throw TensorError(.typeMismatch, "'\(name)' is \(format)")
        }
        return unsafe bytes.withBytes { bytes in
            (0..<count).map { index in
                if format == "F32" {
                    return unsafe bytes.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
                }
                let bits = unsafe bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
                return format == "F16"
                    ? Float(Float16(bitPattern: bits)) : Float(bitPattern: UInt32(bits) << 16)
            }
        }
    }

    private func view(
        _ elementType: ElementType, _ dimensions: [Int], alignment: Int
    ) throws -> Tensor {
        guard let shape = Shape(dimensions) else {
            throw TensorError(.invalidShape, "'\(name)': \(dimensions.count) dimensions")
        }
        let region = bytes.isAligned(to: alignment) ? bytes : ByteRegion(copying: bytes.copied())
        guard let base = unsafe region.bytes.baseAddress else {
            throw TensorError(.outOfBounds, "'\(name)' has no bytes")
        }
        let storage = unsafe TensorStorage(
            borrowing: UnsafeMutableRawPointer(mutating: base), byteCount: region.count,
            owner: region.owner)
        return try Tensor(elementType: elementType, shape: shape, storage: storage)
    }
}
