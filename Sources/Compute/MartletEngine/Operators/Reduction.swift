// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let reduceSum = reduction(.reduceSum, MARTLET_REDUCE_SUM)
    static let reduceMean = reduction(.reduceMean, MARTLET_REDUCE_MEAN)
    static let reduceMax = reduction(.reduceMax, MARTLET_REDUCE_MAX)
    static let reduceMin = reduction(.reduceMin, MARTLET_REDUCE_MIN)
    static let reduceProd = reduction(.reduceProd, MARTLET_REDUCE_PROD)
    static let reduceL1 = reduction(.reduceL1, MARTLET_REDUCE_L1)
    static let reduceL2 = reduction(.reduceL2, MARTLET_REDUCE_L2)
    static let reduceLogSum = reduction(.reduceLogSum, MARTLET_REDUCE_LOG_SUM)
    static let reduceLogSumExp = reduction(.reduceLogSumExp, MARTLET_REDUCE_LOG_SUM_EXP)
    static let reduceSumSquare = reduction(.reduceSumSquare, MARTLET_REDUCE_SUM_SQUARE)
    static let argMax = argument(.argMax, smallest: false)
    static let argMin = argument(.argMin, smallest: true)

    private static func reduction(
        _ schema: OperatorSchema, _ operation: martlet_reduction
    ) -> NativeOperator {
        NativeOperator(schema) { node in
            let input = try node.input()
            if input.elementType == .float16 || input.elementType == .bfloat16 {
                return try node.lowerWidened { try lowerReduction($0, operation) }
            }
            try lowerReduction(node, operation)
        }
    }

    private static func lowerReduction(_ node: Lowering, _ operation: martlet_reduction) throws {
        let input = try node.input()
        let output = try node.output()
        let rank = input.shape.rank
        var axes = Array(0..<rank)
        let given = try node.ints(attribute: "axes", orInput: 1) ?? []
        if !given.isEmpty {
            axes = try given.map { try node.axis($0, rank: rank) }.sorted()
        } else if node.int("noop_with_empty_axes") != 0 {
            axes = []
        }
        try emitReduce(node, operation, input, output, axes: axes)
    }

    private static func argument(
        _ schema: OperatorSchema, smallest: Bool
    ) -> NativeOperator {
        NativeOperator(schema) { node in
            let input = try node.input()
            let axis = try node.axis(node.int("axis"), rank: input.shape.rank)
            guard input.shape[axis] > 0 else { throw node.failure("an empty axis", .invalidInput) }
            try unsafe node.emit(
                argumentStep,
                ReduceArguments(
                    type: node.dtype(input), operation: MARTLET_REDUCE_MAX, input: input.slot,
                    output: node.output().slot, outer: Int64(input.shape.product(0..<axis)),
                    size: Int64(input.shape[axis]),
                    inner: Int64(input.shape.product((axis + 1)..<input.shape.rank)),
                    smallest: smallest ? 1 : 0,
                    last: Int32(clamping: node.int("select_last_index"))))
        }
    }

    static let cumSum = NativeOperator(.cumSum) { node in
        try lowerCumulation(node, isProduct: false)
    }
    static let cumProd = NativeOperator(.cumProd) { node in
        try lowerCumulation(node, isProduct: true)
    }

    private static func lowerCumulation(_ node: Lowering, isProduct: Bool) throws {
        let input = try node.input()
        if input.elementType == .float16 || input.elementType == .bfloat16 {
            return try node.lowerWidened { try lowerCumulation($0, isProduct: isProduct) }
        }
        guard let raw = try node.input(1).integers?.first else {
            throw node.failure("the axis must be known before the run")
        }
        let axis = try node.axis(raw, rank: input.shape.rank)
        try unsafe node.emit(
            cumulateStep,
            CumulateArguments(
                type: node.dtype(input), isProduct: isProduct ? 1 : 0,
                exclusive: Int32(clamping: node.int("exclusive")),
                reverse: Int32(clamping: node.int("reverse")), input: input.slot,
                output: node.output().slot, outer: Int64(input.shape.product(0..<axis)),
                size: Int64(input.shape[axis]),
                inner: Int64(input.shape.product((axis + 1)..<input.shape.rank))))
    }
}

struct ReduceArguments: BitwiseCopyable {
    var type: martlet_dtype
    var operation: martlet_reduction
    var input: Slot
    var output: Slot
    var outer: Int64
    var size: Int64
    var inner: Int64
    var smallest: Int32 = 0
    var last: Int32 = 0
}

/// Emits a reduction over `axes` (sorted). Axes that are not neighbours are first brought together.
func emitReduce(
    _ node: Lowering, _ operation: martlet_reduction, _ input: Operand, _ output: Operand,
    axes: [Int]
) throws {
    var source = input
    var shape = input.shape
    var axes = axes
    if let first = axes.first, axes != Array(first..<(first + axes.count)) {
        let order = shape.indices.filter { !axes.contains($0) } + axes
        shape = Shape(order.map { input.shape[$0] }) ?? Shape()
        source = try node.temporary(input.elementType, shape)
        try emitTranspose(node, input, source, order: order)
        axes = Array((shape.rank - axes.count)..<shape.rank)
    }
    let begin = axes.first ?? shape.rank
    try unsafe node.emit(
        reduceStep,
        ReduceArguments(
            type: node.dtype(input), operation: operation, input: source.slot, output: output.slot,
            outer: Int64(shape.product(0..<begin)),
            size: Int64(shape.product(begin..<(begin + axes.count))),
            inner: Int64(shape.product((begin + axes.count)..<shape.rank))))
}

func reduceStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: ReduceArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe martlet_reduce(
        arguments.type, arguments.operation, frame[arguments.input], frame[arguments.output],
        arguments.outer, arguments.size, arguments.inner, frame.threads)
}

func argumentStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: ReduceArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe martlet_arg_reduce(
        arguments.type, arguments.smallest, arguments.last, frame[arguments.input],
        frame[arguments.output]?.assumingMemoryBound(to: Int64.self), arguments.outer,
        arguments.size, arguments.inner, frame.threads)
}

struct CumulateArguments: BitwiseCopyable {
    var type: martlet_dtype
    var isProduct: Int32
    var exclusive: Int32
    var reverse: Int32
    var input: Slot
    var output: Slot
    var outer: Int64
    var size: Int64
    var inner: Int64
}

func cumulateStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: CumulateArguments.self)
    let frame = unsafe StepFrame(frame)
    return unsafe martlet_cumulate(
        arguments.type, arguments.isProduct, arguments.exclusive, arguments.reverse,
        frame[arguments.input],
        frame[arguments.output], arguments.outer, arguments.size, arguments.inner, frame.threads)
}
