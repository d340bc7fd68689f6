// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import MartletGraph
internal import MartletTensor

// Convolutions of any rank as matrix products over columns: [batch, group, channels · taps,
// places].
extension NativeOperator {
    /// X's product with the transposed weights, added up where windows overlap.
    static let convTranspose = float32(.convTranspose) { node in
        let (input, weights) = (try node.input(0), try node.input(1))
        let output = try node.output()
        try node.expectFloat32(input)
        let groups = node.int("group", default: 1)
        let (batch, channels) = (input.shape[0], input.shape[1])
        guard groups > 0, channels % groups == 0, weights.shape[0] == channels else {
            throw node.failure("\(channels) channels in \(groups) groups", .invalidModel)
        }
        let window = try WindowGeometry(
            node, input: input.shape, output: output.shape,
            kernel: Array(weights.shape.dropFirst(2)), transposed: true)
        let inner = channels / groups
        let rows = weights.shape[1] * window.kernelCount
        let places = window.outputCount
        let columns = try node.temporary(.float32, [batch, groups, rows, places])
        var form = MatMulForm(
            left: weights.viewed(as: [groups, rows, inner]),
            right: input.viewed(as: [batch, groups, inner, places]), output: columns)
        // The weights lie the other way round.
        form.leftStrides = (1, Int64(rows))
        try emitMatMul(node, form)
        try emitFold(node, columns, window, channels: batch * output.shape[1], output)
        try emitChannelBias(node, node.optional(2), output)
    }

    /// Blocks of a matrix put back where they overlap: inputs X[N, C · taps, places], image shape,
    /// block shape.
    static let col2Im = NativeOperator(.col2Im) { node in
        let input = try node.floats(0)
        let output = try node.output()
        guard let block = try node.input(2).integers else {
            throw node.failure("the block's shape must be known before the run")
        }
        let places = try blockPlaces(node, output.shape, block)
        let folded = Shape([output.shape[0], output.shape[1]] + places) ?? Shape()
        let window = try WindowGeometry(
            node, input: output.shape, output: folded, kernel: block)
        guard input.count == output.shape.product(0..<2) * window.kernelCount * window.outputCount
        else { throw node.failure("columns of shape \(input.shape)", .invalidInput) }
        try node.produce { target in
            try emitFold(
                node, input, window, channels: output.shape.product(0..<2), target)
        }
    }

    private static func blockPlaces(
        _ node: Lowering, _ image: Shape, _ block: [Int]
    ) throws -> [Int] {
        let rank = image.rank - 2
        let strides = node.ints("strides") ?? Array(repeating: 1, count: rank)
        let dilations = node.ints("dilations") ?? Array(repeating: 1, count: rank)
        let pads = node.ints("pads") ?? Array(repeating: 0, count: 2 * rank)
        let limit = 1 << 31
        guard block.count == rank, strides.count == rank, dilations.count == rank,
            pads.count == 2 * rank,
            (block + strides + dilations).allSatisfy({ $0 > 0 && $0 < limit }),
            pads.allSatisfy({ $0 > -limit && $0 < limit })
        else { throw node.failure("a block of shape \(block)", .invalidModel) }
        return (0..<rank).map { axis in
            let room =
                image[axis + 2] + pads[axis] + pads[axis + rank] - dilations[axis]
                * (block[axis] - 1) - 1
            return room < 0 ? 0 : room / strides[axis] + 1
        }
    }

    /// Each tap looks where an offset says, between pixels too.
    static let deformConv = float32(.deformConv) { node in
        let (input, weights, offsets) = (try node.input(0), try node.input(1), try node.input(2))
        let output = try node.output()
        try node.expectFloat32(input)
        guard input.shape.rank == 4 else { throw node.failure("needs images") }
        let window = try WindowGeometry(
            node, input: input.shape, output: output.shape,
            kernel: Array(weights.shape.dropFirst(2)))
        let parts = node.int("offset_group", default: 1)
        let places = Array(output.shape.dropFirst(2))
        let (batch, channels) = (input.shape[0], input.shape[1])
        let mask = node.optional(4)
        let taps = window.kernelCount
        guard parts > 0, channels % parts == 0,
            offsets.shape == [batch, parts * taps * 2, places[0], places[1]] as Shape,
            (mask?.shape ?? [batch, parts * taps, places[0], places[1]])
                == [batch, parts * taps, places[0], places[1]] as Shape
        else { throw node.failure("offsets of shape \(offsets.shape)", .invalidInput) }
        let columns = try node.temporary(
            .float32, [batch, channels * taps, window.outputCount])
        try node.compute { run throws(StepFault) in
            let (x, at, y) = (run.floats(input), run.floats(offsets), run.floats(columns))
            let mask = mask.map { run.floats($0) }
            let (height, width) = (window.input[0], window.input[1])
            let count = window.outputCount
            for row in 0..<(batch * channels * taps) {
                let tap = row % taps
                let plane = row / taps
                let part = plane % channels / (channels / parts)
                let index = (plane / channels * parts + part) * taps + tap
                for place in 0..<count {
                    let vertical =
                        place / window.output[1] * window.strides[0] - window.begins[0]
                        + tap / window.kernel[1] * window.dilations[0]
                    let horizontal =
                        place % window.output[1] * window.strides[1] - window.begins[1]
                        + tap % window.kernel[1] * window.dilations[1]
                    let value = bilinear(
                        x, plane * height * width, height, width,
                        Float(vertical) + at[2 * index * count + place],
                        Float(horizontal) + at[(2 * index + 1) * count + place])
                    y[row * count + place] = value * (mask?[index * count + place] ?? 1)
                }
            }
        }
        try emitColumnProduct(node, columns, weights, bias: node.optional(3), output)
    }
}

/// A value between pixels; outside the image everything is 0.
private func bilinear(
    _ x: Values<Float>, _ base: Int, _ height: Int, _ width: Int, _ vertical: Float,
    _ horizontal: Float
) -> Float {
    guard vertical > -1, vertical < Float(height), horizontal > -1, horizontal < Float(width)
    else { return 0 }
    let (top, left) = (Int(vertical.rounded(.down)), Int(horizontal.rounded(.down)))
    let (down, right) = (vertical - Float(top), horizontal - Float(left))
    func pixel(_ row: Int, _ column: Int) -> Float {
        row >= 0 && row < height && column >= 0 && column < width
            ? x[base + row * width + column] : 0
    }
    return (1 - down) * ((1 - right) * pixel(top, left) + right * pixel(top, left + 1))
        + down * ((1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1))
}

/// A convolution of any rank; elements of 32 bits, floats or whole numbers.
func emitGeneralConvolution(
    _ node: Lowering, _ input: Operand, _ weights: Operand, bias: Operand?, _ output: Operand
) throws {
    let window = try WindowGeometry(
        node, input: input.shape, output: output.shape, kernel: Array(weights.shape.dropFirst(2)))
    let (batch, channels) = (input.shape[0], input.shape[1])
    let taps = window.kernelCount
    let columns = try node.temporary(
        input.elementType, [batch, channels * taps, window.outputCount])
    let table = try window.table(node)
    let (from, to) = (window.inputCount, window.outputCount)
    try node.compute { run throws(StepFault) in
        let (x, y) = (run.values(input, as: UInt32.self), run.values(columns, as: UInt32.self))
        KernelPool.parallel(parts: batch * channels, maximumThreads: Int(run.threads)) { plane in
            for index in 0..<(taps * to) {
                let place = table[index]
                y[plane * taps * to + index] = place < 0 ? 0 : x[plane * from + Int(place)]
            }
        }
    }
    try emitColumnProduct(node, columns, weights, bias: bias, output)
}

/// Emits weights · columns + bias, group by group.
private func emitColumnProduct(
    _ node: Lowering, _ columns: Operand, _ weights: Operand, bias: Operand?, _ output: Operand
) throws {
    let groups = node.int("group", default: 1)
    let outputs = weights.shape[0]
    let batch = columns.shape[0]
    let rows = columns.shape[1]
    guard groups > 0, outputs % groups == 0, rows % groups == 0,
        weights.count == outputs * (rows / groups)
    else { throw node.failure("\(outputs) outputs in \(groups) groups", .invalidModel) }
    let places = columns.shape[2]
    try emitMatMul(
        node,
        MatMulForm(
            left: weights.viewed(as: [groups, outputs / groups, rows / groups]),
            right: columns.viewed(as: [batch, groups, rows / groups, places]),
            output: output.viewed(as: [batch, groups, outputs / groups, places])))
    try emitChannelBias(node, bias, output)
}

private func emitChannelBias(_ node: Lowering, _ bias: Operand?, _ output: Operand) throws {
    guard let bias else { return }
    guard bias.count == output.shape[1] else {
        throw node.failure("a bias of shape \(bias.shape)", .invalidModel)
    }
    var shape = Shape(repeating: 1, rank: output.shape.rank - 1)
    shape[0] = bias.count
    try emitBinary(node, MARTLET_ADD, output, bias.viewed(as: shape), output)
}

/// Emits the image that columns [channels, taps, places] add up to.
private func emitFold(
    _ node: Lowering, _ columns: Operand, _ window: WindowGeometry, channels: Int,
    _ output: Operand
) throws {
    let table = try window.table(node)
    let to = window.inputCount
    try node.compute { run throws(StepFault) in
        let (x, y) = (run.floats(columns), run.floats(output))
        KernelPool.parallel(parts: channels, maximumThreads: Int(run.threads)) { channel in
            for place in 0..<to { y[channel * to + place] = 0 }
            for index in 0..<table.count {
                let place = table[index]
                if place >= 0 {
                    y[channel * to + Int(place)] += x[channel * table.count + index]
                }
            }
        }
    }
}
