// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let softmax = float32(.softmax) { node in try lowerSoftmax(node, logarithm: false) }
    static let logSoftmax = float32(.logSoftmax) { node in try lowerSoftmax(node, logarithm: true) }

    private static func lowerSoftmax(_ node: Lowering, logarithm: Bool) throws {
        let input = try node.input()
        try node.expectFloat32(input)
        if input.shape.rank == 0 {
            return try emitFill(node, node.output(), bits: logarithm ? 0 : 0x3F80_0000)
        }
        let axis = try node.axis(node.int("axis", default: -1), rank: input.shape.rank)
        node.mayReuse(input: 0)
        try unsafe node.emit(
            softmaxStep,
            SoftmaxArguments(
                input: input.slot, output: node.output().slot,
                outer: Int64(input.shape.product(0..<axis)), size: Int64(input.shape[axis]),
                inner: Int64(input.shape.product((axis + 1)..<input.shape.rank)),
                logarithm: logarithm ? 1 : 0))
    }

    static let layerNormalization = float32(.layerNormalization) { node in
        let input = try node.input()
        let axis = try node.axis(node.int("axis", default: -1), rank: input.shape.rank)
        node.mayReuse(input: 0)
        try emitNorm(
            node,
            NormForm(
                input: input, residual: nil, scale: node.input(1), bias: node.optional(2),
                output: node.output(), sum: nil, mean: node.optionalOutput(1),
                inverse: node.optionalOutput(2), axis: axis, isRMS: false))
    }

    static let rmsNormalization = float32(.rmsNormalization) { node in
        let input = try node.input()
        let axis = try node.axis(node.int("axis", default: -1), rank: input.shape.rank)
        node.mayReuse(input: 0)
        try emitNorm(
            node,
            NormForm(
                input: input, residual: nil, scale: node.input(1), bias: nil,
                output: node.output(), sum: nil, mean: nil, inverse: nil, axis: axis, isRMS: true))
    }

    /// LayerNormalization(X + residual).
    static let skipLayerNormalization = float32(.skipLayerNormalization) { node in
        let output = try node.output()
        func full(_ operand: Operand) throws -> Operand {
            if operand.shape == output.shape { return operand }
            let copy = try node.temporary(.float32, output.shape)
            try emitExpand(node, operand, copy)
            return copy
        }
        node.mayReuse(input: 0)
        try emitNorm(
            node,
            NormForm(
                input: full(node.input(0)), residual: full(node.input(1)), scale: node.input(2),
                bias: node.optional(3), output: output, sum: node.optionalOutput(1), mean: nil,
                inverse: nil, axis: output.shape.rank - 1, isRMS: false))
    }

    static let l2Normalize = float32(.l2Normalize) { node in
        let input = try node.input()
        let size = input.shape.last ?? 1
        node.mayReuse(input: 0)
        try unsafe node.emit(
            l2NormalizeStep,
            L2NormalizeArguments(
                input: input.slot, output: node.output().slot,
                rows: size == 0 ? 0 : Int64(input.count / size), size: Int64(size),
                epsilon: node.float("epsilon", default: 1e-12)))
    }
}

struct SoftmaxArguments: BitwiseCopyable {
    var input: Slot
    var output: Slot
    var outer: Int64
    var size: Int64
    var inner: Int64
    var logarithm: Int32
}

func softmaxStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: SoftmaxArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_softmax_f32(
        frame.floats(arguments.input), frame.floats(arguments.output), arguments.outer,
        arguments.size, arguments.inner, arguments.logarithm, frame.threads)
    return StepStatus.done
}

struct L2NormalizeArguments: BitwiseCopyable {
    var input: Slot
    var output: Slot
    var rows: Int64
    var size: Int64
    var epsilon: Float
}

func l2NormalizeStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: L2NormalizeArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_l2_normalize_f32(
        frame.floats(arguments.input), frame.floats(arguments.output), arguments.rows,
        arguments.size, arguments.epsilon, frame.threads)
    return StepStatus.done
}

/// A layer or RMS normalisation over the axes from `axis` on.
struct NormForm {
    var input: Operand
    var residual: Operand?
    var scale: Operand
    var bias: Operand?
    var output: Operand
    var sum: Operand?
    var mean: Operand?
    var inverse: Operand?
    var axis: Int
    var isRMS: Bool
}

struct NormArguments: BitwiseCopyable {
    var input: Slot
    var residual: Slot
    var scale: Slot
    var bias: Slot
    var output: Slot
    var sum: Slot
    var mean: Slot
    var inverse: Slot
    var rows: Int64
    var size: Int64
    var epsilon: Float
    var isRMS: Bool
}

func emitNorm(_ node: Lowering, _ form: NormForm, epsilon: Float? = nil) throws {
    try node.expectFloat32(form.input)
    let normalized = Shape(form.output.shape[form.axis...]) ?? Shape()
    func parameter(_ operand: Operand?) throws -> Slot {
        guard let operand else { return .none }
        if operand.count == normalized.elementCountChecked { return operand.slot }
        let copy = try node.temporary(.float32, normalized)
        try emitExpand(node, operand, copy)
        return copy.slot
    }
    let size = normalized.elementCountChecked ?? 0
    try unsafe node.emit(
        normStep,
        NormArguments(
            input: form.input.slot, residual: form.residual?.slot ?? .none,
            scale: parameter(form.scale), bias: parameter(form.bias), output: form.output.slot,
            sum: form.sum?.slot ?? .none, mean: form.mean?.slot ?? .none,
            inverse: form.inverse?.slot ?? .none,
            rows: size == 0 ? 0 : Int64(form.output.count / size), size: Int64(size),
            epsilon: epsilon ?? node.float("epsilon", default: 1e-5), isRMS: form.isRMS))
}

func normStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: NormArguments.self)
    let frame = unsafe StepFrame(frame)
    let size = arguments.size
    var norm = unsafe martlet_norm_f32_args(
        x: frame.floats(arguments.input), residual: frame.floats(arguments.residual),
        gamma: frame.floats(arguments.scale), beta: frame.floats(arguments.bias),
        y: frame.floats(arguments.output), sum: frame.floats(arguments.sum),
        mean: frame.floats(arguments.mean), inverse: frame.floats(arguments.inverse),
        rows: arguments.rows, n: size, x_row_stride: size, residual_row_stride: size,
        y_row_stride: size, sum_row_stride: size, epsilon: arguments.epsilon)
    if arguments.isRMS {
        unsafe martlet_rms_norm_f32(&norm, frame.threads)
    } else {
        unsafe martlet_layer_norm_f32(&norm, frame.threads)
    }
    return StepStatus.done
}
