// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletTensor

/// Inputs that a model accepts, filled with what is typical for them.
enum BenchInputs {
    private static let bytesMax = 4 << 30

    /// - Parameter shapes: "NAME=1x3x224x224".
    static func make(
        _ signature: ModelSignature, batch: Int, sequence: Int, shapes: [String]
    ) throws -> [Tensor] {
        let given = try ShapeOption.dimensions(shapes, inputs: signature.inputs)
        var random = SeededRandom(seed: 1)
        return try signature.inputs.map { spec in
            let dimensions =
                given[spec.name]
                ?? spec.dimensions.enumerated().map { axis, dimension in
                    dimension >= 0 ? dimension : axis == 0 ? batch : sequence
                }
            guard spec.elementType != .bytes else {
                throw CommandFailure(
                    "input '\(spec.name)' takes texts, which bench cannot make up")
            }
            guard let shape = Shape(dimensions), let count = shape.elementCountChecked,
                let bytes = spec.elementType.byteCount(elements: count), bytes <= bytesMax
            else { throw CommandFailure("input '\(spec.name)' of \(dimensions) is too large") }
            let storage = TensorStorage(byteCount: bytes)
            fill(storage, spec, count: count, using: &random)
            return try Tensor(elementType: spec.elementType, shape: shape, storage: storage)
        }
    }

    /// Floats between -1 and 1; whole numbers small, as token ids are; masks all one.
    private static func fill(
        _ storage: TensorStorage, _ spec: TensorSpec, count: Int, using random: inout SeededRandom
    ) {
        let bytes = unsafe storage.mutableBytes
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
        let isMask = spec.name.contains("mask")
        let isType = spec.name.contains("type")
        for index in 0..<count {
            let whole = isMask ? 1 : isType ? 0 : Int64.random(in: 1...90, using: &random)
            switch spec.elementType {
            case .float32:
                unsafe bytes.storeBytes(
                    of: isMask ? 1 : Float.random(in: -1...1, using: &random),
                    toByteOffset: index * 4, as: Float.self)
            case .float64:
                unsafe bytes.storeBytes(
                    of: Double.random(in: -1...1, using: &random), toByteOffset: index * 8,
                    as: Double.self)
            case .int64, .uint64:
                unsafe bytes.storeBytes(of: whole, toByteOffset: index * 8, as: Int64.self)
            case .int32, .uint32:
                unsafe bytes.storeBytes(of: Int32(whole), toByteOffset: index * 4, as: Int32.self)
            case .int8, .uint8:
                unsafe bytes.storeBytes(of: Int8(whole), toByteOffset: index, as: Int8.self)
            case .bool: unsafe bytes.storeBytes(of: 1, toByteOffset: index, as: UInt8.self)
            default: break
            }
        }
    }
}
