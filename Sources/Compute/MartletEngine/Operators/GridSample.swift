// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// Reads an image, or a volume, at the coordinates of a grid.
    static let gridSample = NativeOperator(.gridSample) { node in
        let input = try node.floats(0)
        let grid = try node.floats(1)
        let rank = input.shape.rank - 2
        guard rank >= 1, grid.shape.rank == rank + 2, grid.shape.last == rank,
            grid.shape[0] == input.shape[0]
        else { throw node.failure("a grid of shape \(grid.shape)", .invalidInput) }
        let sampler = try GridSampler(node, sizes: Array(input.shape.dropFirst(2)))
        let (batch, channels) = (input.shape[0], input.shape[1])
        let places = grid.shape.product(1..<(rank + 1))
        let plane = input.shape.product(2..<(rank + 2))
        try node.produce { output in
            try node.compute { run throws(StepFault) in
                let (x, at, y) = (run.floats(input), run.floats(grid), run.floats(output))
                // Neighbours are worked out once for all channels, a block of places at a time.
                let blocks = (places + GridBlock.size - 1) / GridBlock.size
                KernelPool.parallel(parts: batch * blocks, maximumThreads: Int(run.threads)) {
                    part in
                    let (entry, first) = (part / blocks, part % blocks * GridBlock.size)
                    var block = GridBlock(
                        sampler, rank: rank, count: Swift.min(GridBlock.size, places - first))
                    block.fill(at, from: entry * places + first)
                    for channel in 0..<channels {
                        let row = entry * channels + channel
                        block.read(x, from: row * plane, y, to: row * places + first)
                    }
                }
            }
        }
    }

    /// Inputs: affine maps[N, r, r + 1], the grid's size [N, C, …].
    static let affineGrid = NativeOperator(.affineGrid) { node in
        let maps = try node.floats(0)
        let output = try node.output()
        let rank = output.shape.rank - 2
        let sizes = Array(output.shape.dropFirst().dropLast())
        guard maps.shape == [output.shape[0], rank, rank + 1] as Shape else {
            throw node.failure("maps of shape \(maps.shape)", .invalidInput)
        }
        let aligns = node.int("align_corners") != 0
        let places = sizes.reduce(1, *)
        try node.produce { grid in
            try node.compute { run throws(StepFault) in
                let (map, y) = (run.floats(maps), run.floats(grid))
                var point = [Float](repeating: 0, count: rank)
                for entry in 0..<grid.shape[0] {
                    for place in 0..<places {
                        var rest = place
                        for axis in sizes.indices.reversed() {
                            let (index, size) = (rest % sizes[axis], Float(sizes[axis]))
                            rest /= sizes[axis]
                            // x, the last axis, is the first coordinate.
                            point[rank - 1 - axis] =
                                aligns
                                ? (size > 1 ? 2 * Float(index) / (size - 1) - 1 : 0)
                                : (2 * Float(index) + 1) / size - 1
                        }
                        for row in 0..<rank {
                            let base = (entry * rank + row) * (rank + 1)
                            var sum = map[base + rank]
                            for column in 0..<rank { sum += map[base + column] * point[column] }
                            y[(entry * places + place) * rank + row] = sum
                        }
                    }
                }
            }
        }
    }
}

/// How grid coordinates become neighbours and weights.
private struct GridSampler: Sendable {
    enum Mode { case nearest, linear, cubic }
    enum Padding { case zeros, border, reflection }

    let sizes: [Int]
    let mode: Mode
    let padding: Padding
    let aligns: Bool

    init(_ node: Lowering, sizes: [Int]) throws {
        self.sizes = sizes
        switch node.string("mode", default: "linear") {
        case "linear", "bilinear": mode = .linear
        case "nearest": mode = .nearest
        case "cubic", "bicubic": mode = .cubic
        case let other: throw node.failure("mode '\(other)'")
        }
        switch node.string("padding_mode", default: "zeros") {
        case "zeros": padding = .zeros
        case "border": padding = .border
        case "reflection": padding = .reflection
        case let other: throw node.failure("padding_mode '\(other)'")
        }
        aligns = node.int("align_corners") != 0
    }

    func setTaps(_ taps: inout GridTaps, axis: Int, _ coordinate: Float) {
        let size = Float(sizes[axis])
        var point =
            aligns ? (coordinate + 1) / 2 * (size - 1) : ((coordinate + 1) * size - 1) / 2
        let (low, high): (Float, Float) = aligns ? (0, size - 1) : (-0.5, size - 0.5)
        if point < low || point > high {
            if padding == .border { point = Swift.min(Swift.max(point, 0), size - 1) }
            if padding == .reflection { point = reflected(point, low, high) }
        }
        // Nothing far outside or undefined is a place.
        guard point > -4, point < size + 4, sizes[axis] > 0 else {
            return taps.set(axis: axis, count: 0)
        }
        switch mode {
        case .nearest:
            taps.set(axis: axis, count: 1)
            taps.set(axis: axis, 0, place(Int(rintf(point)), axis), 1)
        case .linear:
            let first = Int(point.rounded(.down))
            let share = point - Float(first)
            taps.set(axis: axis, count: 2)
            taps.set(axis: axis, 0, place(first, axis), 1 - share)
            taps.set(axis: axis, 1, place(first + 1, axis), share)
        case .cubic:
            let first = Int(point.rounded(.down))
            taps.set(axis: axis, count: 4)
            for tap in 0..<4 {
                let distance = Swift.abs(Double(point) - Double(first - 1 + tap))
                taps.set(
                    axis: axis, tap, place(first - 1 + tap, axis),
                    Float(ResizeAxis.cubic(distance, -0.75)))
            }
        }
    }

    /// The place that an index stands for; -1 where the image is 0.
    private func place(_ index: Int, _ axis: Int) -> Int {
        let size = sizes[axis]
        if index >= 0, index < size { return index }
        switch padding {
        case .zeros: return -1
        case .border: return Swift.min(Swift.max(index, 0), size - 1)
        case .reflection:
            let (low, high): (Float, Float) =
                aligns ? (0, Float(size) - 1) : (-0.5, Float(size) - 0.5)
            return Swift.min(Swift.max(Int(reflected(Float(index), low, high)), 0), size - 1)
        }
    }

    private func reflected(_ point: Float, _ low: Float, _ high: Float) -> Float {
        let range = high - low
        guard range > 0, point.isFinite else { return low < 0 ? 0 : low }
        let distance = point < low ? low - point : point - high
        guard distance > 0 else { return point }
        let rest = fmodf(distance, range)
        let isEven = fmodf((distance / range).rounded(.down), 2) == 0
        return (point < low) == isEven ? low + rest : high - rest
    }
}

/// The neighbours of some places, and their weights: [neighbour][place].
private struct GridBlock {
    static let size = 64

    private let sampler: GridSampler
    private let rank: Int
    private let count: Int
    private let tapCount: Int
    private var taps: GridTaps
    private var places: [Int]
    private var weights: [Float]
    /// Whether every neighbour lies in the image.
    private var isWhole = true

    init(_ sampler: GridSampler, rank: Int, count: Int) {
        self.sampler = sampler
        self.rank = rank
        self.count = count
        let own = sampler.mode == .nearest ? 1 : sampler.mode == .linear ? 2 : 4
        tapCount = (0..<rank).reduce(1) { product, _ in product * own }
        taps = GridTaps(rank: rank)
        places = Array(repeating: -1, count: tapCount * count)
        weights = Array(repeating: 0, count: tapCount * count)
    }

    mutating func fill(_ at: Values<Float>, from first: Int) {
        for place in 0..<count {
            for axis in 0..<rank {
                // The last axis comes first in the grid.
                sampler.setTaps(
                    &taps, axis: axis, at[(first + place) * rank + (rank - 1 - axis)])
            }
            taps.combine(sizes: sampler.sizes)
            isWhole = isWhole && taps.places.count == tapCount
            for tap in 0..<taps.places.count {
                places[tap * count + place] = taps.places[tap]
                weights[tap * count + place] = taps.weights[tap]
                isWhole = isWhole && taps.places[tap] >= 0
            }
        }
    }

    /// One channel: places were checked against the image's sizes when they were made.
    func read(_ x: Values<Float>, from: Int, _ y: Values<Float>, to: Int) {
        let plane = sampler.sizes.reduce(1, *)
        precondition(from + plane <= x.count && to + count <= y.count, "element out of range")
        unsafe places.withUnsafeBufferPointer { places in
            unsafe weights.withUnsafeBufferPointer { weights in
                unsafe x.withPointer(from: from) { x in
                    unsafe y.withPointer(from: to) { y in
                        for place in 0..<count {
                            var sum: Float = 0
                            for tap in 0..<tapCount {
                                let index = tap &* count &+ place
                                let source = unsafe places[index]
                                if isWhole || source >= 0 {
                                    unsafe sum += weights[index] * x[source]
                                }
                            }
                            unsafe y[place] = sum
                        }
                    }
                }
            }
        }
    }
}

/// Neighbours and weights by axis, and their products over all axes.
private struct GridTaps {
    private var counts: [Int]
    private var axisPlaces: [Int]
    private var axisWeights: [Float]
    private(set) var places: [Int] = []
    private(set) var weights: [Float] = []

    init(rank: Int) {
        counts = Array(repeating: 0, count: rank)
        axisPlaces = Array(repeating: 0, count: 4 * rank)
        axisWeights = Array(repeating: 0, count: 4 * rank)
    }

    mutating func set(axis: Int, count: Int) { counts[axis] = count }

    mutating func set(axis: Int, _ tap: Int, _ place: Int, _ weight: Float) {
        axisPlaces[4 * axis + tap] = place
        axisWeights[4 * axis + tap] = weight
    }

    mutating func combine(sizes: [Int]) {
        places.removeAll(keepingCapacity: true)
        weights.removeAll(keepingCapacity: true)
        let total = counts.reduce(1, *)
        for index in 0..<total {
            var rest = index
            var place = 0
            var weight: Float = 1
            var stride = 1
            for axis in counts.indices.reversed() {
                let tap = 4 * axis + rest % counts[axis]
                rest /= counts[axis]
                place = place < 0 || axisPlaces[tap] < 0 ? -1 : place + axisPlaces[tap] * stride
                weight *= axisWeights[tap]
                stride *= sizes[axis]
            }
            places.append(place)
            weights.append(weight)
        }
    }
}
