// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let adaptRows = NativeOperator(.adaptRows) { node in
        let sums = try node.input(0)
        let input = try node.input(1)
        let rows = try node.input(3)
        let slab = try node.input(4)
        try node.expectFloat32(sums)
        try node.expectFloat32(input)
        let source = try rowsSource(node)
        let (inputs, outputs, offset) = (
            node.int("inputs"), node.int("outputs"), node.int("offset")
        )
        let (module, modules, adapters) = (
            node.int("module"), node.int("modules"), node.int("adapters")
        )
        let isGated = source != MARTLET_ROWS_PLAIN && source != MARTLET_ROWS_NORM
        guard inputs > 0, outputs > 0, offset >= 0, sums.shape.rank == 2,
            offset <= sums.shape[1] - outputs, input.shape.rank == 2,
            input.shape[0] == sums.shape[0], input.shape[1] == (isGated ? 2 * inputs : inputs),
            rows.elementType == .int32, rows.count == sums.shape[0],
            slab.elementType == .uint8, module >= 0, module < modules, modules <= 1 << 20,
            adapters > 0, adapters <= 1 << 20
        else {
            throw node.failure(
                "sums \(sums.shape), rows \(input.shape), module \(module) of \(modules)",
                .invalidModel)
        }
        if source == MARTLET_ROWS_NORM {
            let weight = try node.input(5)
            try node.expectFloat32(weight)
            guard weight.count == inputs else {
                throw node.failure("a weight of shape \(weight.shape)", .invalidModel)
            }
        }
        node.mayReuse(input: 0)
        try unsafe node.emit(
            adaptRowsStep,
            AdaptRowsArguments(
                source: source, sums: sums.slot, input: input.slot,
                weight: node.optional(5)?.slot ?? .none, rows: rows.slot, slab: slab.slot,
                output: node.output().slot,
                count: RowCount(node, input: 2, capacity: sums.shape[0]),
                inputs: Int64(inputs), outputs: Int64(outputs), offset: offset,
                width: Int64(input.shape[1]), sumsWidth: sums.shape[1],
                slabBytes: Int64(slab.count), adapters: Int64(adapters),
                modules: Int64(modules), module: Int64(module),
                epsilon: node.float("epsilon", default: 1e-5)))
    }
}

struct AdaptRowsArguments: BitwiseCopyable {
    var source: martlet_rows_source
    var sums: Slot
    var input: Slot
    var weight: Slot
    var rows: Slot
    var slab: Slot
    var output: Slot
    var count: RowCount
    var inputs: Int64
    var outputs: Int64
    var offset: Int
    var width: Int64
    var sumsWidth: Int
    var slabBytes: Int64
    var adapters: Int64
    var modules: Int64
    var module: Int64
    var epsilon: Float
}

func adaptRowsStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: AdaptRowsArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let count = arguments.count.value(frame),
        let sums = unsafe frame.floats(arguments.sums),
        let output = unsafe frame.floats(arguments.output)
    else { return StepStatus.invalidValue }
    if unsafe sums != output {
        unsafe memcpy(output, sums, Int(count) * arguments.sumsWidth * 4)
    }
    var kernel = unsafe martlet_adapt_args(
        source: arguments.source, n: count, k: arguments.inputs, m: arguments.outputs,
        x: frame.floats(arguments.input), x_stride: arguments.width,
        weight: frame.floats(arguments.weight), epsilon: arguments.epsilon,
        y: output + arguments.offset, y_stride: Int64(arguments.sumsWidth),
        rows: frame.integers(arguments.rows), slab: frame[arguments.slab],
        slab_bytes: arguments.slabBytes, adapters: arguments.adapters,
        modules: arguments.modules, module: arguments.module)
    let status = unsafe martlet_adapt_rows(&kernel, frame.threads)
    return status == 0 ? StepStatus.done : StepStatus.indexOutOfRange
}
