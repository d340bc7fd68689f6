// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

/// One axis of a Resize: where each place of the output lies on the input.
struct ResizeAxis {
    let axis: Int
    let size: Int
    let length: Int
    let scale: Double
    /// By place: the coordinate on the input.
    let points: [Double]

    /// Whether anything but a copy is to be done.
    var changes: Bool {
        size != length || scale != 1 || points.indices.contains { points[$0] != Double($0) }
    }

    /// All axes that the node names, in order.
    static func all(_ node: Lowering, _ input: Shape, _ output: Shape) throws -> [ResizeAxis] {
        let axes =
            try node.ints("axes")?.map { try node.axis($0, rank: input.rank) }
            ?? Array(0..<input.rank)
        let scales = try known(node, 2)
        let sizes = try known(node, 3)
        let common = keptScale(node, input, axes, sizes)
        let isCropped = node.string("coordinate_transformation_mode") == "tf_crop_and_resize"
        let region = isCropped ? try known(node, 1) : nil
        if isCropped, region?.count != 2 * axes.count {
            throw node.failure("the region must be known before the run")
        }
        return try axes.enumerated().map { index, axis in
            let size = input[axis]
            let length = output[axis]
            guard size > 0 || length == 0 else {
                throw node.failure("an empty axis cannot be resized", .invalidInput)
            }
            try node.expectTable(of: length)
            let scale: Double
            if let scales, index < scales.count, sizes == nil {
                scale = scales[index]
            } else {
                scale = common ?? (size == 0 ? 1 : Double(length) / Double(size))
            }
            let part = region.map { ($0[index], $0[index + axes.count]) }
            let points = try (0..<length).map {
                try coordinate(
                    Double($0), size: Double(size), length: Double(length), scale: scale, part,
                    node)
            }
            guard points.allSatisfy(\.isFinite) else {
                throw node.failure("scales or a region that are no numbers", .invalidInput)
            }
            return ResizeAxis(axis: axis, size: size, length: length, scale: scale, points: points)
        }
    }

    /// The numbers that an input holds; nil where it is absent or empty.
    private static func known(_ node: Lowering, _ index: Int) throws -> [Double]? {
        guard let operand = node.optional(index), operand.count > 0 else { return nil }
        if let reals = operand.reals { return reals }
        if let integers = operand.integers { return integers.map { Double($0) } }
        throw node.failure("input \(index) must be known before the run")
    }

    /// The one scale of all axes where the aspect ratio is kept.
    private static func keptScale(
        _ node: Lowering, _ input: Shape, _ axes: [Int], _ sizes: [Double]?
    ) -> Double? {
        guard let sizes, sizes.count == axes.count else { return nil }
        let scales = zip(axes, sizes).map { $1 / Double(Swift.max(input[$0], 1)) }
        return switch node.string("keep_aspect_ratio_policy", default: "stretch") {
        case "not_larger": scales.min()
        case "not_smaller": scales.max()
        default: nil
        }
    }

    private static func coordinate(
        _ place: Double, size: Double, length: Double, scale: Double,
        _ region: (begin: Double, end: Double)?, _ node: Lowering
    ) throws -> Double {
        switch node.string("coordinate_transformation_mode", default: "half_pixel") {
        case "half_pixel": return (place + 0.5) / scale - 0.5
        case "pytorch_half_pixel": return length > 1 ? (place + 0.5) / scale - 0.5 : 0
        case "asymmetric": return place / scale
        case "align_corners":
            // The length that the scale asks for, before it was rounded down.
            let whole = scale * size
            return whole > 1 ? place * (size - 1) / (whole - 1) : 0
        case "half_pixel_symmetric":
            let adjustment = length / (scale * size)
            return size / 2 * (1 - adjustment) + (place + 0.5) / scale - 0.5
        case "tf_crop_and_resize":
            let (begin, end) = region ?? (0, 1)
            return length > 1
                ? begin * (size - 1) + place * (end - begin) * (size - 1) / (length - 1)
                : 0.5 * (begin + end) * (size - 1)
        case let other: throw node.failure("coordinate_transformation_mode '\(other)'")
        }
    }

    // MARK: Tables

    func nearest(_ node: Lowering) throws -> [Int64] {
        let rounding = node.string("nearest_mode", default: "round_prefer_floor")
        return try points.map { point in
            let rounded: Double =
                switch rounding {
                case "round_prefer_floor": (point - 0.5).rounded(.up)
                case "round_prefer_ceil": (point + 0.5).rounded(.down)
                case "floor": point.rounded(.down)
                case "ceil": point.rounded(.up)
                default: throw node.failure("nearest_mode '\(rounding)'")
                }
            return Int64(Swift.min(Swift.max(rounded, 0), Double(size - 1)))
        }
    }

    /// The weights of a filter over the neighbours, widened for shrinking where `antialias` is set.
    func weights(_ node: Lowering, mode: String) throws -> ResampleTable {
        let stretch = node.int("antialias") != 0 ? Swift.min(scale, 1) : 1
        let excludes = node.int("exclude_outside") != 0
        let slope = Double(node.float("cubic_coeff_a", default: -0.75))
        let reach = (mode == "linear" ? 1 : 2) / stretch
        guard reach < 1_048_576 else { throw node.failure("scale \(scale)") }
        let taps = 2 * Int(reach.rounded(.up))
        let (entries, overflow) = taps.multipliedReportingOverflow(by: length)
        guard !overflow, entries < 1 << 28 else {
            throw node.failure("\(taps) taps for \(length) places", .limitExceeded)
        }
        var table = ResampleTable(taps: taps, places: [], weights: [])
        table.places.reserveCapacity(entries)
        table.weights.reserveCapacity(entries)
        for point in points {
            // Far outside, all neighbours are the border.
            let held = Swift.min(Swift.max(point, -reach - 1), Double(size) + reach)
            let first = Int(held.rounded(.down)) - taps / 2 + 1
            var weights = (0..<taps).map { tap -> Double in
                let place = first + tap
                if excludes, place < 0 || place >= size { return 0 }
                let distance = Swift.abs((Double(place) - held) * stretch)
                return mode == "linear"
                    ? Swift.max(1 - distance, 0) : ResizeAxis.cubic(distance, slope)
            }
            let sum = weights.reduce(0, +)
            if sum != 0, excludes || stretch != 1 { weights = weights.map { $0 / sum } }
            for tap in 0..<taps {
                table.places.append(Int32(Swift.min(Swift.max(first + tap, 0), size - 1)))
                table.weights.append(Float(weights[tap]))
            }
        }
        return table
    }

    /// Keys' cubic convolution.
    static func cubic(_ distance: Double, _ a: Double) -> Double {
        if distance < 1 {
            return ((a + 2) * distance - (a + 3)) * distance * distance + 1
        }
        if distance < 2 {
            return ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
        }
        return 0
    }
}
