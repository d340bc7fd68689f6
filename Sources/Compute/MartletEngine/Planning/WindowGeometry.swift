// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

/// A window that slides over any number of axes: what general convolutions and pools walk.
struct WindowGeometry: Sendable {
    /// The sizes of what the window lies on, and of the places it takes.
    var input: [Int]
    var output: [Int]
    var kernel: [Int]
    var strides: [Int]
    var dilations: [Int]
    /// Of the padding before the data.
    var begins: [Int]
    var ends: [Int]

    /// The most places that a window has, and the most entries of its table.
    static let tapsMax = 1 << 20
    static let tableMax = 1 << 28

    var inputCount: Int { input.reduce(1, *) }
    var outputCount: Int { output.reduce(1, *) }
    var kernelCount: Int { kernel.reduce(1, *) }

    /// - Parameters:
    ///   - input: channels first, as `output`: [batch, channels, size…].
    ///   - transposed: whether the window lies on the output (a transposed convolution).
    init(
        _ node: Lowering, input: Shape, output: Shape, kernel: [Int], transposed: Bool = false
    ) throws {
        let rank = input.rank - 2
        guard rank >= 1, output.rank == input.rank, kernel.count == rank else {
            throw node.failure("a window of \(kernel.count) axes on \(input)", .invalidModel)
        }
        let from = Array(input.dropFirst(2))
        let to = Array(output.dropFirst(2))
        self.input = transposed ? to : from
        self.output = transposed ? from : to
        self.kernel = kernel
        strides = node.ints("strides") ?? Array(repeating: 1, count: rank)
        dilations = node.ints("dilations") ?? Array(repeating: 1, count: rank)
        let pads = node.ints("pads") ?? Array(repeating: 0, count: 2 * rank)
        guard strides.count == rank, dilations.count == rank, pads.count == 2 * rank,
            strides.allSatisfy({ $0 > 0 }), dilations.allSatisfy({ $0 > 0 })
        else { throw node.failure("strides, dilations or pads of another rank", .invalidModel) }
        var taps = 1
        for size in kernel {
            let (product, overflow) = taps.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow, product <= WindowGeometry.tapsMax else {
                throw node.failure("a window of \(kernel)", .limitExceeded)
            }
            taps = product
        }
        begins = Array(pads[..<rank])
        ends = Array(pads[rank...])
        setPadding(node, transposed: transposed)
    }

    private mutating func setPadding(_ node: Lowering, transposed: Bool) {
        let mode = node.string("auto_pad", default: "NOTSET")
        let given = transposed ? node.ints("output_shape") != nil : false
        guard mode != "NOTSET" || given else { return }
        let extra = node.ints("output_padding")
        for axis in input.indices {
            let extent = (kernel[axis] - 1) * dilations[axis] + 1
            var total = (output[axis] - 1) * strides[axis] + extent - input[axis]
            if transposed, let extra, axis < extra.count { total += extra[axis] }
            total = mode == "VALID" && !given ? 0 : Swift.max(total, 0)
            let putsMoreAfter = transposed ? mode == "SAME_UPPER" : mode != "SAME_LOWER"
            begins[axis] = putsMoreAfter ? total / 2 : total - total / 2
            ends[axis] = total - begins[axis]
        }
    }

    /// Calls `body` with the output's number, the tap's number and the input's number for every
    /// place and tap inside the data; and once after each output's taps with the tap -1.
    func forEachPlace(
        _ places: Range<Int>, _ body: (_ output: Int, _ tap: Int, _ input: Int) -> Void
    ) {
        let rank = input.count
        var place = [Int](repeating: 0, count: rank)
        var rest = places.lowerBound
        for axis in stride(from: rank - 1, through: 0, by: -1) {
            place[axis] = rest % Swift.max(output[axis], 1)
            rest /= Swift.max(output[axis], 1)
        }
        var tap = [Int](repeating: 0, count: rank)
        let taps = kernelCount
        for number in places {
            for axis in 0..<rank { tap[axis] = 0 }
            for index in 0..<taps {
                var offset = 0
                var isInside = true
                for axis in 0..<rank {
                    let at =
                        place[axis] * strides[axis] + tap[axis] * dilations[axis] - begins[axis]
                    isInside = isInside && at >= 0 && at < input[axis]
                    offset = offset * input[axis] + at
                }
                if isInside { body(number, index, offset) }
                var axis = rank - 1
                while axis >= 0 {
                    tap[axis] += 1
                    if tap[axis] < kernel[axis] { break }
                    tap[axis] = 0
                    axis -= 1
                }
            }
            body(number, -1, 0)
            var axis = rank - 1
            while axis >= 0 {
                place[axis] += 1
                if place[axis] < output[axis] { break }
                place[axis] = 0
                axis -= 1
            }
        }
    }

    /// The input's number for every tap and place, tap by tap; -1 outside the data.
    func table(_ node: Lowering) throws -> [Int32] {
        let places = outputCount
        let (entries, overflow) = kernelCount.multipliedReportingOverflow(by: places)
        guard !overflow, entries <= WindowGeometry.tableMax, inputCount <= Int(Int32.max) else {
            throw node.failure("\(kernelCount) taps at \(places) places", .limitExceeded)
        }
        var table = [Int32](repeating: -1, count: entries)
        forEachPlace(0..<places) { output, tap, input in
            if tap >= 0 { table[tap * places + output] = Int32(truncatingIfNeeded: input) }
        }
        return table
    }
}
