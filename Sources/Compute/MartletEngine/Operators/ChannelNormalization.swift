// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// At inference: a scale and a shift per channel.
    static let batchNormalization = float32(.batchNormalization) { node in
        let epsilon = node.float("epsilon", default: 1e-5)
        let scale = try node.input(1)
        let parameters = try (1..<5).map { try node.input($0) }
        guard parameters.allSatisfy({ $0.constant != nil && $0.elementType == .float32 }) else {
            return try lowerUnfoldedBatchNorm(node, parameters, epsilon: epsilon)
        }
        func folded(_ format: String, _ combine: (Int) -> Float) throws -> Slot {
            try unsafe node.packed(
                scale, format: "\(format)-\(epsilon)-\(parameters.map { $0.value?.index ?? -1 })",
                byteCount: scale.count * 4
            ) { _, target in
                let target = unsafe target.assumingMemoryBound(to: Float.self)
                for index in 0..<scale.count { unsafe target[index] = combine(index) }
            }
        }
        let values = try parameters.map {
            try $0.constant?.elements(as: Float.self) ?? []
        }
        func factor(_ index: Int) -> Float {
            values[0][index] / (values[3][index] + epsilon).squareRoot()
        }
        let scaleSlot = try folded("bn-scale") { factor($0) }
        let shiftSlot = try folded("bn-shift") {
            values[1][$0] - values[2][$0] * factor($0)
        }
        try emitScaleShift(node, scale: scaleSlot, shift: shiftSlot, channels: scale.count)
    }

    static let scaleShift = float32(.scaleShift) { node in
        let scale = try node.input(1)
        try emitScaleShift(
            node, scale: scale.slot, shift: node.input(2).slot, channels: scale.count)
    }

    static let instanceNormalization = float32(.instanceNormalization) { node in
        let input = try node.input()
        guard input.shape.rank >= 2 else { throw node.failure("needs [batch, channels, …]") }
        try emitGroupNorm(node, input, groups: input.shape[1])
    }

    static let groupNormalization = float32(.groupNormalization) { node in
        let input = try node.input()
        let groups = node.int("num_groups", default: 1)
        guard input.shape.rank >= 2, groups > 0, input.shape[1] % groups == 0 else {
            throw node.failure("\(groups) groups of a tensor of shape \(input.shape)")
        }
        try emitGroupNorm(node, input, groups: groups)
    }

    /// Across channels.
    static let lrn = float32(.lrn) { node in
        let input = try node.input()
        let output = try node.output()
        guard input.shape.rank >= 2 else { throw node.failure("needs [batch, channels, …]") }
        let isLast = node.string("layout") == "NHWC"
        let channels = input.shape[isLast ? input.shape.rank - 1 : 1]
        let pixels = channels == 0 ? 0 : input.count / channels
        func emit(_ from: Slot, _ to: Slot) throws {
            try unsafe node.emit(
                lrnStep,
                LRNArguments(
                    input: from, output: to, pixels: Int64(pixels), channels: Int64(channels),
                    size: Int64(node.int("size", default: 1)),
                    alpha: node.float("alpha", default: 1e-4),
                    beta: node.float("beta", default: 0.75),
                    bias: node.float("bias", default: 1)))
        }
        if isLast { return try emit(input.slot, output.slot) }
        let before = try node.temporary(.float32, input.shape)
        let after = try node.temporary(.float32, input.shape)
        try emitToChannelsLast(node, input, before.slot)
        try emit(before.slot, after.slot)
        try emitToChannelsFirst(node, after.slot, output)
    }

    private static func lowerUnfoldedBatchNorm(
        _ node: Lowering, _ parameters: [Operand], epsilon: Float
    ) throws {
        let shape = parameters[0].shape
        let scale = try node.temporary(.float32, shape)
        let shift = try node.temporary(.float32, shape)
        let small = try node.filled(Double(epsilon), elementType: .float32)
        try emitBinary(node, MARTLET_ADD, parameters[3], small, scale)
        try emitUnary(node, MARTLET_RSQRT, scale, scale)
        try emitBinary(node, MARTLET_MUL, scale, parameters[0], scale)
        try emitBinary(node, MARTLET_MUL, parameters[2], scale, shift)
        try emitBinary(node, MARTLET_SUB, parameters[1], shift, shift)
        try emitScaleShift(
            node, scale: scale.slot, shift: shift.slot, channels: parameters[0].count)
    }
}

struct ScaleShiftArguments: BitwiseCopyable {
    var input: Slot
    var output: Slot
    var outer: Int64
    var channels: Int64
    var inner: Int64
    /// Its bias is the shift.
    var epilogue: Epilogue
    var scale: Slot
}

/// Emits activation(x · scale + shift) per channel, the channels where `layout` says.
func emitScaleShift(_ node: Lowering, scale: Slot, shift: Slot, channels: Int) throws {
    let input = try node.input()
    try node.expectFloat32(input)
    let isLast = node.string("layout") == "NHWC"
    let outer = isLast ? (channels == 0 ? 0 : input.count / channels) : input.shape.first ?? 1
    let rows = Swift.max(outer * channels, 1)
    var epilogue = Epilogue()
    epilogue.bias = shift
    try epilogue.setActivation(FusedActivation(attributes: node.attributes))
    node.mayReuse(input: 0)
    try unsafe node.emit(
        scaleShiftStep,
        ScaleShiftArguments(
            input: input.slot, output: node.output().slot, outer: Int64(outer),
            channels: Int64(channels), inner: isLast ? 1 : Int64(input.count / rows),
            epilogue: epilogue, scale: scale))
}

func scaleShiftStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: ScaleShiftArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_scale_shift_f32(
        frame.floats(arguments.input), frame.floats(arguments.output),
        frame.floats(arguments.scale), frame.floats(arguments.epilogue.bias), arguments.outer,
        arguments.channels, arguments.inner, arguments.epilogue.activation,
        arguments.epilogue.minimum, arguments.epilogue.maximum, frame.threads)
    return StepStatus.done
}

struct GroupNormArguments: BitwiseCopyable {
    var input: Slot
    var output: Slot
    var scale: Slot
    var bias: Slot
    var rows: Int64
    var size: Int64
    var channelsPerRow: Int64
    var channels: Int64
    var epsilon: Float
}

func emitGroupNorm(_ node: Lowering, _ input: Operand, groups: Int) throws {
    try node.expectFloat32(input)
    let channels = input.shape[1]
    let rows = input.shape[0] * groups
    try unsafe node.emit(
        groupNormStep,
        GroupNormArguments(
            input: input.slot, output: node.output().slot, scale: node.input(1).slot,
            bias: node.input(2).slot, rows: Int64(rows),
            size: rows == 0 ? 0 : Int64(input.count / rows),
            channelsPerRow: Int64(channels / Swift.max(groups, 1)), channels: Int64(channels),
            epsilon: node.float("epsilon", default: 1e-5)))
}

func groupNormStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: GroupNormArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_group_norm_f32(
        frame.floats(arguments.input), frame.floats(arguments.output),
        frame.floats(arguments.scale), frame.floats(arguments.bias), arguments.rows,
        arguments.size, arguments.channelsPerRow, arguments.channels, arguments.epsilon,
        frame.threads)
    return StepStatus.done
}

struct LRNArguments: BitwiseCopyable {
    var input: Slot
    var output: Slot
    var pixels: Int64
    var channels: Int64
    var size: Int64
    var alpha: Float
    var beta: Float
    var bias: Float
}

func lrnStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: LRNArguments.self)
    let frame = unsafe StepFrame(frame)
    unsafe martlet_lrn_f32(
        frame.floats(arguments.input), frame.floats(arguments.output), arguments.pixels,
        arguments.channels, arguments.size, arguments.alpha, arguments.beta, arguments.bias,
        frame.threads)
    return StepStatus.done
}
