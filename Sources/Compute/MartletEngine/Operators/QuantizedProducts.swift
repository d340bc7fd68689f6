// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

// Products of 8-bit values on packed integer tiles. Scales and zero points of the left side may be
// computed by the model; those of the weights are constants.
extension NativeOperator {
    static let quantizedMatMul = NativeOperator(.quantizedMatMul) { node in
        let right = try node.input(QuantizedInput.right)
        let output = try node.output()
        let isTransposed = node.int("transB") != 0
        let product = try QuantizedProduct(node)
        var arguments = try product.arguments(
            packed: QuantizedProduct.pack(node, right, isTransposed: isTransposed))
        arguments.k = Int64(right.shape[isTransposed ? 1 : 0])
        arguments.n = Int64(right.shape[isTransposed ? 0 : 1])
        arguments.m = arguments.n == 0 ? 0 : Int64(output.count) / arguments.n
        arguments.output = output.slot
        try product.emit(&arguments)
    }

    static let quantizedConv = NativeOperator(.quantizedConv) { node in
        let input = try node.input(QuantizedInput.left)
        let weights = try node.input(QuantizedInput.right)
        let output = try node.output()
        let geometry = try ImageGeometry(
            node, input: input.shape, output: output.shape,
            kernel: Array(weights.shape.dropFirst(2)))
        let product = try QuantizedProduct(node)
        var shape = convShape(node, geometry)
        guard unsafe martlet_conv2d_narrow_can(&shape) != 0 else {
            throw node.failure("\(shape.groups) groups", .unsupported)
        }
        var arguments = try product.arguments(
            packed: QuantizedProduct.pack(node, weights, shape))
        arguments.image = shape
        arguments.isImage = true
        arguments.m = shape.batch * shape.out_height * shape.out_width
        arguments.n = shape.out_channels
        arguments.k = shape.in_channels * shape.kernel_height * shape.kernel_width
        let isLast = geometry.isChannelsLast
        if !isLast, geometry.channels > 1, geometry.inPixels > 1 {
            arguments.left = try toLast(node, input).slot
        }
        if let residual = node.optional(QuantizedInput.residual), !isLast {
            arguments.epilogue.residual = try toLast(node, residual).slot
        }
        let result =
            isLast
            ? output
            : try node.temporary(
                output.elementType,
                [
                    geometry.batch, geometry.outHeight, geometry.outWidth, geometry.outChannels,
                ])
        arguments.output = result.slot
        try product.emit(&arguments)
        if isLast { return }
        let rank = output.shape.rank
        let stored = result.viewed(
            as: rank == 4
                ? result.shape : [geometry.batch, geometry.outWidth, geometry.outChannels])
        try emitTranspose(
            node, stored, output, order: [0, rank - 1] + Array(1..<(rank - 1)))
    }

    /// [batch, channels, …] with the channels last.
    private static func toLast(_ node: Lowering, _ operand: Operand) throws -> Operand {
        var shape = operand.shape
        for axis in 1..<(shape.rank - 1) { shape[axis] = operand.shape[axis + 1] }
        shape[shape.rank - 1] = operand.shape[1]
        let last = try node.temporary(operand.elementType, shape)
        try emitTranspose(
            node, operand, last, order: [0] + Array(2..<shape.rank) + [1])
        return last
    }
}

/// A quantised product's operands besides its two sides.
struct QuantizedProduct {
    let node: Lowering
    private let left: Operand
    private let leftScale: Operand
    private let leftZero: Operand?
    private let scales: Slot
    private let scaleStride: Int64

    init(_ node: Lowering) throws {
        self.node = node
        left = try node.input(QuantizedInput.left)
        leftScale = try node.input(QuantizedInput.leftScale)
        leftZero = node.optional(QuantizedInput.leftZero)
        try node.expectFloat32(leftScale)
        guard left.elementType.isByte, leftScale.count == 1, leftZero?.count ?? 1 == 1,
            leftZero?.elementType ?? left.elementType == left.elementType
        else {
            throw node.failure("a left side of \(left.elementType.displayName)", .unsupported)
        }
        if let operand = node.optional(QuantizedInput.rightScale) {
            try node.expectFloat32(operand)
            scales = operand.slot
            scaleStride = operand.count == 1 ? 0 : 1
        } else {
            scales = try node.filled(1, elementType: .float32).slot
            scaleStride = 0
        }
    }

    func arguments(packed: Slot) throws -> QuantizedProductArguments {
        let output = try node.output()
        var arguments = QuantizedProductArguments(
            left: left.slot, leftScale: leftScale.slot, packed: packed, scales: scales)
        arguments.isSigned = left.elementType == .int8
        arguments.leftZero = leftZero?.slot ?? .none
        arguments.scaleStride = scaleStride
        var epilogue = Epilogue()
        epilogue.bias = node.optional(QuantizedInput.bias)?.slot ?? .none
        epilogue.residual = node.optional(QuantizedInput.residual)?.slot ?? .none
        try epilogue.setActivation(FusedActivation(attributes: node.attributes))
        arguments.epilogue = epilogue
        guard let scale = node.optional(QuantizedInput.outputScale) else { return arguments }
        guard let number = scale.reals?.first, output.elementType.isByte else {
            throw node.failure("the output's scale must be known before the run", .unsupported)
        }
        arguments.isNarrow = true
        arguments.outputScale = Float(number)
        arguments.isOutputSigned = output.elementType == .int8
        if let zero = node.optional(QuantizedInput.outputZero) {
            arguments.outputZero = Float(try zero.bytes(node).first ?? 0)
        }
        return arguments
    }

    func emit(_ arguments: inout QuantizedProductArguments) throws {
        let columns = Int(arguments.n)
        for index in [QuantizedInput.rightScale, QuantizedInput.rightZero, QuantizedInput.bias] {
            guard let operand = node.optional(index) else { continue }
            guard operand.count == columns || (operand.count == 1 && index != QuantizedInput.bias)
            else {
                throw node.failure(
                    "\(operand.count) numbers for \(columns) columns", .invalidModel)
            }
        }
        arguments.epilogue.residualStride = arguments.n
        arguments.scratch = node.scratch(
            byteCount: martlet_gemm_int8_scratch_bytes(
                arguments.m, arguments.n, arguments.k, arguments.isNarrow ? 1 : 0, node.threads))
        try unsafe node.emit(quantizedProductStep, arguments)
    }

    // MARK: Packing

    /// The zero points of the weights; their count is 1 or the columns'.
    private static func zeros(_ node: Lowering) throws -> [Int32] {
        try node.optional(QuantizedInput.rightZero)?.bytes(node) ?? [0]
    }

    private static func format(_ kind: String, _ node: Lowering, _ zeros: [Int32]) -> String {
        var hash = zeros.count
        for zero in zeros { hash = (hash &* 1_000_003) ^ Int(zero) }
        return "\(kind)-\(hash)"
    }

    static func pack(_ node: Lowering, _ right: Operand, isTransposed: Bool) throws -> Slot {
        guard right.elementType.isByte, right.shape.rank == 2 else {
            throw node.failure("weights of \(right.elementType.displayName)", .unsupported)
        }
        let k = Int64(right.shape[isTransposed ? 1 : 0])
        let n = Int64(right.shape[isTransposed ? 0 : 1])
        let isSigned: Int32 = right.elementType == .int8 ? 1 : 0
        let zeros = try zeros(node)
        guard zeros.count == 1 || zeros.count == Int(n) else {
            throw node.failure("\(zeros.count) zero points for \(n) columns", .invalidModel)
        }
        let threads = node.builder.threads
        return try unsafe node.packed(
            right, format: format("int8-\(isTransposed ? "nk" : "kn")", node, zeros),
            byteCount: martlet_gemm_int8_pack_b_bytes(k, n)
        ) { tensor, target in
            unsafe zeros.withUnsafeBufferPointer { zeros in
                unsafe martlet_gemm_int8_pack_b(
                    tensor.bytes.baseAddress, isSigned, isTransposed ? 1 : n,
                    isTransposed ? k : 1, k, n, zeros.baseAddress, zeros.count == 1 ? 0 : 1,
                    target, threads)
            }
        }
    }

    static func pack(
        _ node: Lowering, _ weights: Operand, _ shape: martlet_conv2d_f32_shape
    ) throws -> Slot {
        guard weights.elementType.isByte else {
            throw node.failure("weights of \(weights.elementType.displayName)", .unsupported)
        }
        let isSigned: Int32 = weights.elementType == .int8 ? 1 : 0
        let zeros = try zeros(node)
        guard zeros.count == 1 || zeros.count == Int(shape.out_channels) else {
            throw node.failure("\(zeros.count) zero points", .invalidModel)
        }
        let depth = shape.in_channels * shape.kernel_height * shape.kernel_width
        let threads = node.builder.threads
        return try unsafe node.packed(
            weights, format: format("conv-int8", node, zeros),
            byteCount: martlet_gemm_int8_pack_b_bytes(depth, shape.out_channels)
        ) { tensor, target in
            var shape = shape
            unsafe zeros.withUnsafeBufferPointer { zeros in
                unsafe martlet_conv2d_int8_pack(
                    &shape, tensor.bytes.baseAddress, isSigned, zeros.baseAddress,
                    zeros.count == 1 ? 0 : 1, target, threads)
            }
        }
    }
}

extension ElementType {
    var isByte: Bool { self == .int8 || self == .uint8 }
}

extension Operand {
    /// The numbers of a constant of 8-bit values.
    func bytes(_ node: Lowering) throws -> [Int32] {
        guard let constant, elementType.isByte else {
            throw node.failure("a zero point must be known before the run", .unsupported)
        }
        return elementType == .int8
            ? try constant.elements(as: Int8.self).map { Int32($0) }
            : try constant.elements(as: UInt8.self).map { Int32($0) }
    }
}

struct QuantizedProductArguments: BitwiseCopyable {
    var left: Slot
    var leftScale: Slot
    var leftZero = Slot.none
    var packed: Slot
    var scales: Slot
    var output = Slot.none
    var scratch = Slot.none
    var scaleStride: Int64 = 0
    var m: Int64 = 0
    var n: Int64 = 0
    var k: Int64 = 0
    var image = martlet_conv2d_f32_shape()
    var isImage = false
    var isSigned = false
    var isNarrow = false
    var isOutputSigned = false
    var outputScale: Float = 1
    var outputZero: Float = 0
    var epilogue = Epilogue()

    init(left: Slot, leftScale: Slot, packed: Slot, scales: Slot) {
        self.left = left
        self.leftScale = leftScale
        self.packed = packed
        self.scales = scales
    }
}

func quantizedProductStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    var arguments = unsafe raw.load(as: QuantizedProductArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let scale = unsafe frame.floats(arguments.leftScale) else { return -1 }
    var zero: Int32 = 0
    if let address = unsafe frame[arguments.leftZero] {
        let byte = unsafe address.load(as: UInt8.self)
        zero = arguments.isSigned ? Int32(Int8(bitPattern: byte)) : Int32(byte)
    }
    let isNarrow = arguments.isNarrow
    var narrow = unsafe martlet_requantize(
        y: frame[arguments.output], row_stride: arguments.n, scale: arguments.outputScale,
        zero: arguments.outputZero, is_signed: arguments.isOutputSigned ? 1 : 0)
    return unsafe withUnsafePointer(to: &arguments.image) { image in
        unsafe withUnsafePointer(to: &narrow) { narrow in
            var gemm = unsafe martlet_gemm_int8_args(
                m: arguments.m, n: arguments.n, k: arguments.k, a: frame[arguments.left],
                a_row_stride: arguments.k, image: arguments.isImage ? image : nil,
                a_is_signed: arguments.isSigned ? 1 : 0, a_zero: zero, a_scale: scale.pointee,
                packed_b: frame[arguments.packed], b_scales: frame.floats(arguments.scales),
                b_scale_stride: arguments.scaleStride,
                c: isNarrow ? nil : frame.floats(arguments.output), c_row_stride: arguments.n,
                narrow: isNarrow ? narrow : nil, epilogue: arguments.epilogue.bound(to: frame))
            unsafe martlet_gemm_int8(&gemm, frame[arguments.scratch], frame.threads)
            return StepStatus.done
        }
    }
}
