// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGraph
internal import MartletTensor

/// Inputs made up from a seed, for measuring where none are given.
enum SyntheticInputs {
    /// Varying dimensions: the first of an input, and the others.
    private static let batch = 1
    private static let length = 16
    private static let bytesMax = 1 << 30

    /// Floats between -1 and 1; whole numbers from 1 to 90, as token ids are; masks all one. Nil
    /// for inputs that cannot be made up.
    static func make(_ signature: ModelSignature, seed: UInt64) -> [Tensor]? {
        var random = SeededRandom(seed: seed)
        var tensors: [Tensor] = []
        for spec in signature.inputs {
            guard let tensor = make(spec, &random) else { return nil }
            tensors.append(tensor)
        }
        return tensors
    }

    private static func make(_ spec: TensorSpec, _ random: inout SeededRandom) -> Tensor? {
        let dimensions = spec.dimensions.enumerated().map { axis, dimension in
            dimension >= 0 ? dimension : axis == 0 ? batch : length
        }
        guard spec.container == .tensor, let shape = Shape(dimensions),
            let count = shape.elementCountChecked,
            let bytes = spec.elementType.byteCount(elements: count), bytes <= bytesMax
        else { return nil }
        let isMask = spec.name.contains("mask")
        let isType = spec.name.contains("type")
        func whole() -> Int64 {
            isMask ? 1 : isType ? 0 : Int64.random(in: 1...90, using: &random)
        }
        func real() -> Float { isMask ? 1 : Float.random(in: -1...1, using: &random) }
        return switch spec.elementType {
        case .float32: try? Tensor((0..<count).map { _ in real() }, shape: shape)
        case .float64: try? Tensor((0..<count).map { _ in Double(real()) }, shape: shape)
        case .int64: try? Tensor((0..<count).map { _ in whole() }, shape: shape)
        case .int32: try? Tensor((0..<count).map { _ in Int32(whole()) }, shape: shape)
        case .uint8: try? Tensor((0..<count).map { _ in UInt8(whole()) }, shape: shape)
        case .int8: try? Tensor((0..<count).map { _ in Int8(whole()) }, shape: shape)
        default: nil
        }
    }
}
