// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// Discrete Fourier transform of X[…, 1 (real) or 2 (complex)]. Inputs: X, length?, axis? (-2).
    /// `onesided`, `inverse`; `axis`, which has precedence over the input.
    public static let dft = OperatorSchema("DFT") { context throws(GraphError) in
        let data = try context.type(0)
        guard var dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard dimensions.count >= 2 else { throw context.failure("needs two dimensions") }
        guard let axis = try transformAxis(context, rank: dimensions.count) else {
            return try context.setOutput(
                0, data.elementType,
                dimensions.map { _ in
                    context.freshDimension()
                })
        }
        let isHalf = context.int("onesided") != 0
        let isInverse = context.int("inverse") != 0
        var length = dimensions[axis]
        if isHalf && isInverse {
            length = try context.sum(context.product(length, 2), -2)
        }
        if context.has(1) {
            length = context.value(1)?.dimensions?.first ?? context.freshDimension()
        }
        if let length = length.fixed, length < 1 { throw context.failure("length \(length)") }
        dimensions[dimensions.count - 1] = isHalf && isInverse ? 1 : 2
        dimensions[axis] = isHalf && !isInverse ? half(context, length) : length
        try context.setOutput(0, data.elementType, dimensions)
    }

    /// The axis of a Fourier transform; nil where it is not known.
    static func transformAxis(
        _ context: ShapeContext, rank: Int
    ) throws(GraphError) -> Int? {
        if context.attributes["axis"] != nil {
            return try context.axis(context.int("axis"), rank: rank)
        }
        guard context.has(2) else { return rank - 2 }
        guard let raw = context.integers(2)?.first else { return nil }
        return try context.axis(raw, rank: rank)
    }

    private static func half(_ context: ShapeContext, _ length: Dimension) -> Dimension {
        length.dividedRoundingDown(by: 2)?.adding(1) ?? context.freshDimension()
    }

    /// Transforms of frames of a signal[B, L, 1 or 2]. Inputs: signal, step, window?, length?.
    /// `onesided` (1). Output: [B, frames, bins, 2].
    public static let stft = OperatorSchema("STFT") { context throws(GraphError) in
        let data = try context.type(0)
        guard let signal = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        guard signal.count == 3 else { throw context.failure("needs [batch, length, 1 or 2]") }
        var length = signal[1]
        if context.has(3) {
            length = context.value(3)?.dimensions?.first ?? context.freshDimension()
        } else if context.has(2) {
            length = try context.dimensions(2)?.first ?? context.freshDimension()
        }
        var frames = context.freshDimension()
        if let step = context.integers(1)?.first, let size = length.fixed,
            let total = signal[1].fixed
        {
            guard step > 0, size > 0, size <= total else {
                throw context.failure("frames of \(size) every \(step) of \(total)")
            }
            frames = Dimension((total - size) / step + 1)
        }
        let bins = context.int("onesided", default: 1) != 0 ? half(context, length) : length
        try context.setOutput(0, data.elementType, [signal[0], frames, bins, 2])
    }

    /// Input: the size. `periodic` (1), `output_datatype` (float32).
    public static let hannWindow = window("HannWindow")
    public static let hammingWindow = window("HammingWindow")
    public static let blackmanWindow = window("BlackmanWindow")

    private static func window(_ name: String) -> OperatorSchema {
        OperatorSchema(name) { context throws(GraphError) in
            _ = try context.type(0)
            let size = context.value(0)?.dimensions?.first
            try context.setOutput(
                0, try statedType(context), [size ?? context.freshDimension()])
        }
    }

    /// Inputs: bins, transform length, sample rate, lowest and highest frequency. Output: [length /
    /// 2 + 1, bins].
    public static let melWeightMatrix = OperatorSchema(
        "MelWeightMatrix"
    ) { context throws(GraphError) in
        for index in 0..<5 { _ = try context.type(index) }
        let bins = context.value(0)?.dimensions?.first ?? context.freshDimension()
        let length = context.value(1)?.dimensions?.first ?? context.freshDimension()
        try context.setOutput(0, try statedType(context), [half(context, length), bins])
    }

    private static func statedType(_ context: ShapeContext) throws(GraphError) -> ElementType {
        let raw = context.int("output_datatype", default: 1)
        guard let type = UInt8(exactly: raw).flatMap(ElementType.init(rawValue:)) else {
            throw context.failure("the unknown type \(raw)", code: .unsupported)
        }
        return type
    }
}
