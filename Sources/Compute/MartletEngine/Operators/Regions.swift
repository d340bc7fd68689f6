// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletGraph
internal import MartletTensor

// Operators that read parts of images.
extension NativeOperator {
    /// Each region as a grid of bins, each bin the mean or maximum of samples between pixels.
    static let roiAlign = NativeOperator(.roiAlign) { node in
        let (input, regions) = (try node.floats(0), try node.floats(1))
        let batches = try node.integers(2)
        guard input.shape.rank == 4, regions.shape == [batches.count, 4] as Shape else {
            throw node.failure("regions of shape \(regions.shape)", .invalidInput)
        }
        let form = RegionForm(
            channels: input.shape[1], height: input.shape[2], width: input.shape[3],
            rows: try node.output().shape[2], columns: try node.output().shape[3],
            scale: node.float("spatial_scale", default: 1))
        let isMaximum = node.string("mode", default: "avg") == "max"
        let isHalf =
            node.string("coordinate_transformation_mode", default: "half_pixel") == "half_pixel"
        let ratio = node.int("sampling_ratio")
        guard ratio >= 0, ratio <= RegionForm.samplesMax else {
            throw node.failure("sampling_ratio \(ratio)", .invalidModel)
        }
        let batch = input.shape[0]
        try node.produce { output in
            try node.compute { run throws(StepFault) in
                let (x, boxes, y) = (run.floats(input), run.floats(regions), run.floats(output))
                let batches = run.values(batches, as: Int64.self)
                for index in 0..<batches.count {
                    guard batches[index] >= 0, batches[index] < batch else {
                        throw .indexOutOfRange
                    }
                    var box = RegionBox()
                    try box.set(form, boxes, index, isHalf: isHalf, ratio: ratio)
                    for channel in 0..<form.channels {
                        let plane = Int(batches[index]) * form.channels + channel
                        for bin in 0..<(form.rows * form.columns) {
                            y[(index * form.channels + channel) * form.rows * form.columns + bin] =
                                box.value(form, x, plane, bin, isMaximum: isMaximum)
                        }
                    }
                }
            }
        }
    }

    /// The maximum of the pixels of each bin.
    static let maxRoiPool = NativeOperator(.maxRoiPool) { node in
        let (input, regions) = (try node.floats(0), try node.floats(1))
        let shape = try node.output().shape
        guard input.shape.rank == 4, regions.shape == [shape[0], 5] as Shape else {
            throw node.failure("regions of shape \(regions.shape)", .invalidInput)
        }
        let scale = node.float("spatial_scale", default: 1)
        let (batch, channels) = (input.shape[0], input.shape[1])
        let (height, width) = (input.shape[2], input.shape[3])
        try node.produce { output in
            try node.compute { run throws(StepFault) in
                let (x, boxes, y) = (run.floats(input), run.floats(regions), run.floats(output))
                func edge(_ index: Int, _ side: Int) -> Int {
                    let value = (boxes[5 * index + side] * scale).rounded()
                    return value.isNaN ? 0 : Int(Swift.min(Swift.max(value, -1e6), 1e6))
                }
                func part(_ bin: Int, _ bins: Int, _ begin: Int, _ end: Int, _ size: Int) -> Range<
                    Int
                > {
                    let length = Float(Swift.max(end - begin + 1, 1)) / Float(bins)
                    let first = begin + Int((Float(bin) * length).rounded(.down))
                    let last = begin + Int((Float(bin + 1) * length).rounded(.up))
                    let low = Swift.min(Swift.max(first, 0), size)
                    return low..<Swift.max(Swift.min(Swift.max(last, 0), size), low)
                }
                for index in 0..<shape[0] {
                    let entry = boxes[5 * index]
                    guard entry >= 0, entry < Float(batch) else { throw .indexOutOfRange }
                    for place in 0..<(channels * shape[2] * shape[3]) {
                        let plane = Int(entry) * channels + place / (shape[2] * shape[3])
                        let rows = part(
                            place / shape[3] % shape[2], shape[2], edge(index, 2), edge(index, 4),
                            height)
                        let columns = part(
                            place % shape[3], shape[3], edge(index, 1), edge(index, 3), width)
                        var best: Float = rows.isEmpty || columns.isEmpty ? 0 : -.infinity
                        for row in rows {
                            for column in columns {
                                best = Swift.max(best, x[(plane * height + row) * width + column])
                            }
                        }
                        y[index * channels * shape[2] * shape[3] + place] = best
                    }
                }
            }
        }
    }

    /// Cuts or pads with zeros, so that the middles agree.
    static let centerCropPad = NativeOperator(.centerCropPad) { node in
        let (input, output) = (try node.input(), try node.output())
        let (fromStrides, toStrides) = (input.strides, output.strides)
        var (from, to) = (0, 0)
        var shape: [Int64] = []
        for axis in input.shape.indices {
            let difference = output.shape[axis] - input.shape[axis]
            if difference > 0 { to += difference / 2 * Int(toStrides[axis]) }
            if difference < 0 { from += -difference / 2 * Int(fromStrides[axis]) }
            shape.append(Int64(Swift.min(input.shape[axis], output.shape[axis])))
        }
        if input.shape.elementCountChecked != output.shape.elementCountChecked
            || input.shape != output.shape
        {
            try emitFill(node, output, bits: 0)
        }
        try emitStridedCopy(
            node, elementBytes: node.elementBytes(input), shape: shape,
            from: StridedView(slot: input.slot, offset: from, strides: fromStrides),
            to: StridedView(slot: output.slot, offset: to, strides: toStrides))
    }
}

/// The sizes of a region operator.
private struct RegionForm: Sendable {
    /// The most samples of a bin along one axis that a model may ask for.
    static let samplesMax = 1024

    var channels: Int
    var height: Int
    var width: Int
    var rows: Int
    var columns: Int
    var scale: Float
}

/// One region: where its bins begin, how large they are, how many samples each has.
private struct RegionBox {
    private var top: Float = 0
    private var left: Float = 0
    private var binHeight: Float = 0
    private var binWidth: Float = 0
    private var samples = (rows: 1, columns: 1)

    mutating func set(
        _ form: RegionForm, _ boxes: Values<Float>, _ index: Int, isHalf: Bool, ratio: Int
    ) throws(StepFault) {
        let shift: Float = isHalf ? 0.5 : 0
        left = boxes[4 * index] * form.scale - shift
        top = boxes[4 * index + 1] * form.scale - shift
        var width = boxes[4 * index + 2] * form.scale - shift - left
        var height = boxes[4 * index + 3] * form.scale - shift - top
        // Regions much larger than the image are not worth their samples.
        let limit = Float(2 * (form.height + form.width) + RegionForm.samplesMax)
        guard width.isFinite, height.isFinite, left.isFinite, top.isFinite, width <= limit,
            height <= limit
        else { throw .invalidValue }
        if !isHalf {
            width = Swift.max(width, 1)
            height = Swift.max(height, 1)
        }
        binHeight = height / Float(form.rows)
        binWidth = width / Float(form.columns)
        samples = (
            ratio > 0 ? ratio : Int(Swift.max(binHeight.rounded(.up), 0)),
            ratio > 0 ? ratio : Int(Swift.max(binWidth.rounded(.up), 0))
        )
    }

    func value(
        _ form: RegionForm, _ x: Values<Float>, _ plane: Int, _ bin: Int, isMaximum: Bool
    ) -> Float {
        let begin = (
            top + Float(bin / form.columns) * binHeight, left + Float(bin % form.columns) * binWidth
        )
        var sum: Float = 0
        var best = -Float.infinity
        for row in 0..<samples.rows {
            let vertical = begin.0 + (Float(row) + 0.5) * binHeight / Float(samples.rows)
            for column in 0..<samples.columns {
                let horizontal =
                    begin.1 + (Float(column) + 0.5) * binWidth / Float(samples.columns)
                let (total, largest) = sample(form, x, plane, vertical, horizontal)
                sum += total
                best = Swift.max(best, largest)
            }
        }
        if isMaximum { return best == -.infinity ? 0 : best }
        return sum / Float(Swift.max(samples.rows * samples.columns, 1))
    }

    /// The weighted pixels around a point: their sum, and the largest of them (what the mode "max"
    /// compares).
    private func sample(
        _ form: RegionForm, _ x: Values<Float>, _ plane: Int, _ vertical: Float, _ horizontal: Float
    ) -> (Float, Float) {
        guard vertical >= -1, vertical <= Float(form.height), horizontal >= -1,
            horizontal <= Float(form.width), form.height > 0, form.width > 0
        else { return (0, 0) }
        func split(_ point: Float, _ size: Int) -> (low: Int, high: Int, share: Float) {
            let held = Swift.max(point, 0)
            let low = Int(held)
            if low >= size - 1 { return (size - 1, size - 1, 0) }
            return (low, low + 1, held - Float(low))
        }
        let (top, bottom, down) = split(vertical, form.height)
        let (left, right, across) = split(horizontal, form.width)
        func pixel(_ row: Int, _ column: Int) -> Float {
            x[(plane * form.height + row) * form.width + column]
        }
        let parts = (
            (1 - down) * (1 - across) * pixel(top, left), (1 - down) * across * pixel(top, right),
            down * (1 - across) * pixel(bottom, left), down * across * pixel(bottom, right)
        )
        return (
            parts.0 + parts.1 + parts.2 + parts.3,
            Swift.max(Swift.max(parts.0, parts.1), Swift.max(parts.2, parts.3))
        )
    }
}
