// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import Glibc
internal import MartletBase
internal import MartletGraph
internal import MartletTensor

// Pools of any rank, with indices, and with other norms than the mean's and the maximum's.
extension NativeOperator {
    static let lpPool = float32(.lpPool) { node in
        let power = Float(node.int("p", default: 2))
        try emitGeneralPool(node, node.input(), node.output(), .norm(power))
    }

    static let globalLpPool = float32(.globalLpPool) { node in
        let input = try node.input()
        let power = Float(node.int("p", default: 2))
        let rows = input.shape.product(0..<2)
        let output = try node.output()
        try node.compute { run throws(StepFault) in
            let (x, y) = (run.floats(input), run.floats(output))
            let size = rows == 0 ? 0 : x.count / rows
            for row in 0..<rows {
                var sum: Float = 0
                for index in 0..<size { sum += powf(fabsf(x[row * size + index]), power) }
                y[row] = powf(sum, 1 / power)
            }
        }
    }

    /// Inputs: pooled values, their places in the whole image, the image's shape?.
    static let maxUnpool = NativeOperator(.maxUnpool) { node in
        let input = try node.input(0)
        let places = try node.integers(1)
        let output = try node.output()
        let bytes = try Int(node.elementBytes(input))
        guard places.count == input.count else {
            throw node.failure("places of shape \(places.shape)", .invalidInput)
        }
        // Places count over the image that the pool's attributes describe, which the third input
        // may make larger.
        let original = try unpooledShape(node, input.shape)
        try node.compute { run throws(StepFault) in
            let (x, y) = (run.bytes(input), run.bytes(output))
            let places = run.values(places, as: Int64.self)
            y.fill(0)
            let count = original.elementCountChecked ?? 0
            for index in 0..<places.count {
                var rest = Int(places[index])
                guard rest >= 0, rest < count else { throw .indexOutOfRange }
                var target = 0
                var stride = 1
                for axis in original.indices.reversed() {
                    let coordinate = rest % original[axis]
                    rest /= original[axis]
                    guard coordinate < output.shape[axis] else { throw .indexOutOfRange }
                    target += coordinate * stride
                    stride *= output.shape[axis]
                }
                y.copy(x, from: index * bytes, to: target * bytes, length: bytes)
            }
        }
    }

    private static func unpooledShape(_ node: Lowering, _ input: Shape) throws -> Shape {
        let rank = input.rank - 2
        let kernel = node.ints("kernel_shape") ?? []
        let strides = node.ints("strides") ?? Array(repeating: 1, count: rank)
        let pads = node.ints("pads") ?? Array(repeating: 0, count: 2 * rank)
        let limit = Int(Int32.max)
        guard rank >= 1, kernel.count == rank, strides.count == rank, pads.count == 2 * rank,
            (kernel + strides + pads).allSatisfy({ $0 > -limit && $0 < limit })
        else { throw node.failure("a window of another rank", .invalidModel) }
        var shape = input
        for axis in 0..<rank {
            shape[axis + 2] =
                (input[axis + 2] - 1) * strides[axis] + kernel[axis] - pads[axis]
                - pads[axis + rank]
            guard shape[axis + 2] > 0 else {
                throw node.failure("an empty image", .invalidModel)
            }
        }
        return shape
    }
}

/// What a pool makes of a window.
enum PoolKind {
    case maximum
    case mean(countsPadding: Bool)
    case norm(Float)
}

/// Emits a pool of 32-bit floats, channels first, of any rank.
/// - Parameter indices: where each maximum was (int64), by `storage_order`.
func emitGeneralPool(
    _ node: Lowering, _ input: Operand, _ output: Operand, _ kind: PoolKind,
    indices: Operand? = nil
) throws {
    guard let kernel = node.ints("kernel_shape") else {
        throw node.failure("attribute 'kernel_shape' is missing", .invalidModel)
    }
    let window = try WindowGeometry(
        node, input: input.shape, output: output.shape, kernel: kernel)
    let planes = input.shape.product(0..<2)
    let isColumnOrder = node.int("storage_order") != 0
    let counts = paddedCounts(window, kind)
    if indices == nil, try emitTablePool(node, input, output, window, kind, counts) { return }
    try node.compute { run throws(StepFault) in
        let (x, y) = (run.floats(input), run.floats(output))
        let indices = indices.map { run.values($0, as: Int64.self) }
        let (from, to) = (window.inputCount, window.outputCount)
        KernelPool.parallel(parts: planes, maximumThreads: Int(run.threads)) { plane in
            var best = -Float.infinity
            var bestPlace = 0
            var sum: Float = 0
            window.forEachPlace(0..<to) { place, tap, input in
                guard tap < 0 else {
                    let value = x[plane * from + input]
                    switch kind {
                    case .maximum:
                        if value > best { (best, bestPlace) = (value, input) }
                    case .mean: sum += value
                    case .norm(let power):
                        sum += power == 2 ? value * value : powf(fabsf(value), power)
                    }
                    return
                }
                switch kind {
                case .maximum:
                    y[plane * to + place] = best
                    indices?[plane * to + place] = Int64(
                        plane * from + (isColumnOrder ? columnOrder(bestPlace, window) : bestPlace))
                case .mean: y[plane * to + place] = sum / counts[place]
                case .norm(let power):
                    y[plane * to + place] = power == 2 ? sum.squareRoot() : powf(sum, 1 / power)
                }
                (best, bestPlace, sum) = (-.infinity, 0, 0)
            }
        }
    }
}

/// Emits a maximum or mean that goes through the plane tap by tap; false for other kinds and for
/// windows whose table would be large.
private func emitTablePool(
    _ node: Lowering, _ input: Operand, _ output: Operand, _ window: WindowGeometry,
    _ kind: PoolKind, _ counts: [Float]
) throws -> Bool {
    let isMaximum: Bool
    switch kind {
    case .maximum: isMaximum = true
    case .mean: isMaximum = false
    case .norm: return false
    }
    let (from, to, taps) = (window.inputCount, window.outputCount, window.kernelCount)
    guard taps.multipliedReportingOverflow(by: to).partialValue < 1 << 24, taps <= 1 << 12 else {
        return false
    }
    let table = try window.table(node)
    let planes = input.shape.product(0..<2)
    try node.compute { run throws(StepFault) in
        guard run.floats(input).count >= planes * from, run.floats(output).count >= planes * to
        else { throw .invalidValue }
        let (x, y) = (run.floats(input), run.floats(output))
        KernelPool.parallel(parts: planes, maximumThreads: Int(run.threads)) { plane in
            // Places in the table lie inside the plane.
            unsafe x.withPointer(from: plane * from) { x in
                unsafe y.withPointer(from: plane * to) { y in
                    for place in 0..<to { unsafe y[place] = isMaximum ? -.infinity : 0 }
                    unsafe table.withUnsafeBufferPointer { table in
                        for tap in 0..<taps {
                            for place in 0..<to {
                                let at = unsafe Int(table[tap * to + place])
                                if at < 0 { continue }
                                let value = unsafe x[at]
                                if isMaximum {
                                    // Chosen, not branched on: data has no pattern.
                                    let best = unsafe y[place]
                                    unsafe y[place] = value > best ? value : best
                                } else {
                                    unsafe y[place] += value
                                }
                            }
                        }
                    }
                    if isMaximum { return }
                    for place in 0..<to { unsafe y[place] /= counts[place] }
                }
            }
        }
    }
    return true
}

/// A place counted with the first axis fastest.
private func columnOrder(_ place: Int, _ window: WindowGeometry) -> Int {
    var rest = place
    var result = 0
    for axis in stride(from: window.input.count - 1, through: 0, by: -1) {
        let outer = window.input[..<axis].reduce(1, *)
        result += rest % window.input[axis] * outer
        rest /= window.input[axis]
    }
    return result
}

/// What each mean divides by: the taps on data, or, where padding counts, on data and padding (a
/// rounded-up size may reach past that).
private func paddedCounts(_ window: WindowGeometry, _ kind: PoolKind) -> [Float] {
    guard case .mean(let countsPadding) = kind else { return [] }
    var padded = window
    if countsPadding {
        for axis in padded.input.indices {
            padded.input[axis] += window.begins[axis] + window.ends[axis]
            padded.begins[axis] = 0
        }
    }
    var counts = [Float](repeating: 0, count: window.outputCount)
    padded.forEachPlace(0..<window.outputCount) { place, tap, _ in
        if tap >= 0 { counts[place] += 1 }
    }
    return counts.map { Swift.max($0, 1) }
}
