// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let matMul = NativeOperator(.matMul) { node in
        let left = try node.input(0)
        let right = try node.input(1)
        let output = try node.output()
        if left.elementType == .float32, right.constant != nil, right.shape.rank == 2,
            left.shape.rank >= 1
        {
            return try emitPackedGemm(
                node, left, right, output,
                PackedGemmOptions(isTransposed: false))
        }
        try emitMatMul(node, MatMulForm(left: left, right: right, output: output))
    }
}

// MARK: A constant right side, packed

struct PackedGemmOptions {
    /// Whether the constant is stored [n, k].
    var isTransposed: Bool
    var alpha: Float = 1
    var epilogue = Epilogue()
}

struct PackedGemmArguments: BitwiseCopyable {
    var left: Slot
    var packed: Slot
    var output: Slot
    var scratch: Slot
    var weights: GemmWeights
    var m: Int64
    var alpha: Float
    var epilogue: Epilogue
}

/// Emits activation(alpha · left[…, k] · right + bias + residual), right a constant matrix.
func emitPackedGemm(
    _ node: Lowering, _ left: Operand, _ right: Operand, _ output: Operand,
    _ options: PackedGemmOptions
) throws {
    let k = Int64(right.shape[options.isTransposed ? 1 : 0])
    let n = Int64(right.shape[options.isTransposed ? 0 : 1])
    let m = n == 0 ? 0 : Int64(output.count) / n
    let weights = GemmWeights(node.precision, k: k, n: n)
    let packed = try weights.pack(node, right, isTransposed: options.isTransposed)
    var epilogue = options.epilogue
    epilogue.residualStride = n
    try unsafe node.emit(
        packedGemmStep,
        PackedGemmArguments(
            left: left.slot, packed: packed, output: output.slot,
            scratch: node.scratch(byteCount: weights.scratchByteCount(m, threads: node.threads)),
            weights: weights, m: m, alpha: options.alpha, epilogue: epilogue))
}

func packedGemmStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: PackedGemmArguments.self)
    let frame = unsafe StepFrame(frame)
    let weights = arguments.weights
    var gemm = unsafe martlet_gemm_f32_args(
        m: arguments.m, n: weights.n, k: weights.k, a: frame.floats(arguments.left),
        a_row_stride: weights.k, packed_b: frame[arguments.packed],
        c: frame.floats(arguments.output), c_row_stride: weights.n, alpha: arguments.alpha,
        epilogue: arguments.epilogue.bound(to: frame))
    if let type = weights.narrowType {
        unsafe martlet_gemm_narrow(type, &gemm, frame[arguments.scratch], frame.threads)
    } else {
        unsafe martlet_gemm_f32(&gemm, frame[arguments.scratch], frame.threads)
    }
    return StepStatus.done
}

// MARK: Any two operands

/// A (batched) product of two operands, as strides.
struct MatMulForm {
    var left: Operand
    var right: Operand
    var output: Operand
    var m: Int64
    var n: Int64
    var k: Int64
    /// Row and column strides.
    var leftStrides: (row: Int64, column: Int64)
    var rightStrides: (row: Int64, column: Int64)
    /// The loops over matrices: strides of left, right and output.
    var batch: BroadcastLoops
    var alpha: Float = 1
    var epilogue = Epilogue()

    /// numpy's `matmul`: one-dimensional operands are a row or a column.
    init(left: Operand, right: Operand, output: Operand) {
        self.left = left
        self.right = right
        self.output = output
        let isRow = left.shape.rank == 1
        let isColumn = right.shape.rank == 1
        let leftShape = isRow ? [1, left.shape[0]] : Array(left.shape)
        let rightShape = isColumn ? [right.shape[0], 1] : Array(right.shape)
        m = Int64(leftShape[leftShape.count - 2])
        k = Int64(leftShape[leftShape.count - 1])
        n = Int64(rightShape[rightShape.count - 1])
        leftStrides = (k, 1)
        rightStrides = (n, 1)
        let outer = Array(output.shape.dropLast((isRow ? 0 : 1) + (isColumn ? 0 : 1)))
        // The matrices' elements enter as a last axis, so that strides come out in elements.
        func withMatrix(_ axes: some Sequence<Int>, _ count: Int64) -> Shape {
            Shape(Array(axes) + [Int(count)]) ?? Shape()
        }
        let shapes = [
            withMatrix(leftShape.dropLast(2), m &* k), withMatrix(rightShape.dropLast(2), k &* n),
            withMatrix(outer, m &* n),
        ]
        batch = MatMulForm.batchLoops(outer: outer, shapes: shapes)
    }

    private static func batchLoops(outer: [Int], shapes: [Shape]) -> BroadcastLoops {
        var loops = BroadcastLoops(
            output: Shape(outer) ?? Shape(),
            operands: shapes.map { Shape($0.dropLast()) ?? Shape() })
        for index in shapes.indices {
            let matrix = Int64(shapes[index].last ?? 1)
            loops.strides[index] = loops.strides[index].map { $0 &* matrix }
        }
        return loops
    }
}

struct MatMulArguments: BitwiseCopyable {
    var type: martlet_dtype
    var elementBytes: Int
    var left: Slot
    var right: Slot
    var output: Slot
    var scratch: Slot
    var m: Int64
    var n: Int64
    var k: Int64
    var leftRow: Int64
    var leftColumn: Int64
    var rightRow: Int64
    var rightColumn: Int64
    /// Loops over matrices; the innermost is a call's own batch.
    var shape: Extents
    var leftStrides: Extents
    var rightStrides: Extents
    var outputStrides: Extents
    var alpha: Float
    var epilogue: Epilogue

    /// The innermost batch's product; pointers as given.
    func product(
        left: UnsafePointer<Float>?, right: UnsafePointer<Float>?,
        output: UnsafeMutablePointer<Float>?, epilogue: martlet_epilogue_f32
    ) -> martlet_matmul_f32_args {
        let last = Int(shape.count) - 1
        return unsafe martlet_matmul_f32_args(
            batch: shape[last], m: m, n: n, k: k, a: left, a_batch_stride: leftStrides[last],
            a_row_stride: leftRow, a_column_stride: leftColumn, b: right,
            b_batch_stride: rightStrides[last], b_row_stride: rightRow,
            b_column_stride: rightColumn, c: output, c_batch_stride: outputStrides[last],
            c_row_stride: n, alpha: alpha, epilogue: epilogue)
    }
}

func emitMatMul(_ node: Lowering, _ form: MatMulForm) throws {
    if form.left.elementType == .float16 || form.left.elementType == .bfloat16 {
        var wide = form
        wide.left = try node.cast(form.left, to: .float32)
        wide.right = try node.cast(form.right, to: .float32)
        wide.output = try node.temporary(.float32, form.output.shape)
        try emitMatMul(node, wide)
        return try emitCast(node, wide.output, form.output)
    }
    var epilogue = form.epilogue
    epilogue.residualStride = form.n
    let isFloat = form.left.elementType == .float32
    var arguments = try MatMulArguments(
        type: node.dtype(form.left), elementBytes: Int(node.elementBytes(form.left)),
        left: form.left.slot, right: form.right.slot, output: form.output.slot, scratch: .none,
        m: form.m, n: form.n, k: form.k, leftRow: form.leftStrides.row,
        leftColumn: form.leftStrides.column, rightRow: form.rightStrides.row,
        rightColumn: form.rightStrides.column, shape: Extents(form.batch.shape),
        leftStrides: Extents(form.batch.strides[0]), rightStrides: Extents(form.batch.strides[1]),
        outputStrides: Extents(form.batch.strides[2]), alpha: form.alpha, epilogue: epilogue)
    if isFloat {
        var product = unsafe arguments.product(
            left: nil, right: nil, output: nil, epilogue: martlet_epilogue_f32())
        arguments.scratch = node.scratch(
            byteCount: unsafe martlet_matmul_f32_scratch_bytes(&product, node.threads))
    }
    try unsafe node.emit(isFloat ? matMulFloatStep : matMulStep, arguments)
}

/// Calls `body` with the element offsets of every matrix outside the innermost batch loop.
private func forEachOuter(
    _ arguments: MatMulArguments, depth: Int, _ body: (Int, Int, Int) -> Int32
) -> Int32 {
    var counts = InlineArray<12, Int64>(repeating: 0)
    while true {
        var left = 0
        var right = 0
        var output = 0
        for axis in 0..<depth {
            left &+= Int(counts[axis] &* arguments.leftStrides[axis])
            right &+= Int(counts[axis] &* arguments.rightStrides[axis])
            output &+= Int(counts[axis] &* arguments.outputStrides[axis])
        }
        let status = body(left, right, output)
        if status != StepStatus.done { return status }
        var axis = depth - 1
        while axis >= 0 {
            counts[axis] += 1
            if counts[axis] < arguments.shape[axis] { break }
            counts[axis] = 0
            axis -= 1
        }
        if axis < 0 { return StepStatus.done }
    }
}

func matMulFloatStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: MatMulArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let left = unsafe frame.floats(arguments.left),
        let right = unsafe frame.floats(arguments.right),
        let output = unsafe frame.floats(arguments.output)
    else { return -1 }
    var epilogue = unsafe arguments.epilogue.bound(to: frame)
    let residual = unsafe frame.floats(arguments.epilogue.residual)
    return forEachOuter(arguments, depth: Int(arguments.shape.count) - 1) {
        if let residual = unsafe residual {
            unsafe epilogue.residual = UnsafePointer(residual + $2)
        }
        var product = unsafe arguments.product(
            left: left + $0, right: right + $1, output: output + $2, epilogue: epilogue)
        unsafe martlet_matmul_f32(&product, frame[arguments.scratch], frame.threads)
        return StepStatus.done
    }
}

func matMulStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: MatMulArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let left = unsafe frame[arguments.left], let right = unsafe frame[arguments.right],
        let output = unsafe frame[arguments.output]
    else { return -1 }
    return forEachOuter(arguments, depth: Int(arguments.shape.count)) {
        unsafe martlet_matmul(
            arguments.type, arguments.m, arguments.n, arguments.k,
            left + $0 * arguments.elementBytes, arguments.leftRow, arguments.leftColumn,
            right + $1 * arguments.elementBytes, arguments.rightRow, arguments.rightColumn,
            output + $2 * arguments.elementBytes, arguments.n, frame.threads)
    }
}

extension Tensor {
    /// The elements as floats, for kernels; tensors of constants are aligned to their element.
    var floatPointer: UnsafePointer<Float>? {
        unsafe bytes.baseAddress?.assumingMemoryBound(to: Float.self)
    }
}
