// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

// Scatters that combine what they write with what is there, and gathers in batches.
extension NativeOperator {
    static let scatterElements = NativeOperator(.scatterElements) { node in
        let data = try node.input(0)
        let output = try node.output()
        let indices = try node.integers(1)
        guard let reduction = try ScatterReduction(node) else {
            try emitExpand(node, data, output)
            return try emitElements(node, node.input(2), indices, output, isScatter: true)
        }
        let axis = try node.axis(node.int("axis"), rank: data.shape.rank)
        let shape = data.shape
        guard indices.shape.rank == shape.rank, try node.input(2).shape == indices.shape else {
            throw node.failure("indices of shape \(indices.shape)", .invalidInput)
        }
        let strides = shape.rowMajorStrides
        let sizes = indices.shape
        for other in sizes.indices where other != axis && sizes[other] > shape[other] {
            throw node.failure("indices of shape \(sizes) for \(shape)", .invalidInput)
        }
        try emitReducing(node, reduction) { run, visit throws(StepFault) in
            let indices = run.values(indices, as: Int64.self)
            for place in 0..<indices.count {
                var rest = place
                var target = 0
                for other in sizes.indices.reversed() {
                    var coordinate = rest % sizes[other]
                    rest /= sizes[other]
                    if other == axis { coordinate = try within(indices[place], shape[axis]) }
                    target += coordinate * Int(strides[other])
                }
                visit(place, target)
            }
        }
    }

    static let scatterND = NativeOperator(.scatterND) { node in
        let output = try node.output()
        let indices = try node.integers(1)
        guard let reduction = try ScatterReduction(node) else {
            try emitExpand(node, node.input(0), output)
            return try emitSlices(
                node, output.shape, indices, from: node.input(2), to: output, isScatter: true)
        }
        let shape = output.shape
        let depth = indices.shape.last ?? 0
        guard depth >= 1, depth <= shape.rank else {
            throw node.failure("indices of shape \(indices.shape)", .invalidModel)
        }
        let slice = shape.product(depth..<shape.rank)
        guard try node.input(2).count == indices.count / depth * slice else {
            throw node.failure("updates of shape \(try node.input(2).shape)", .invalidInput)
        }
        let strides = shape.rowMajorStrides
        try emitReducing(node, reduction) { run, visit throws(StepFault) in
            let indices = run.values(indices, as: Int64.self)
            for row in 0..<(indices.count / depth) {
                var target = 0
                for axis in 0..<depth {
                    let index = try within(indices[row * depth + axis], shape[axis])
                    target += index * Int(strides[axis])
                }
                for place in 0..<slice { visit(row * slice + place, target + place) }
            }
        }
    }

    static let gatherND = NativeOperator(.gatherND) { node in
        let data = try node.input(0)
        let indices = try node.integers(1)
        let output = try node.output()
        let lead = node.int("batch_dims")
        if lead == 0 {
            return try emitSlices(
                node, data.shape, indices, from: data, to: output, isScatter: false)
        }
        let shape = data.shape
        let depth = indices.shape.last ?? 0
        guard lead > 0, lead < indices.shape.rank, depth >= 1, lead + depth <= shape.rank,
            (0..<lead).allSatisfy({ shape[$0] == indices.shape[$0] })
        else { throw node.failure("indices of shape \(indices.shape)", .invalidInput) }
        let strides = shape.rowMajorStrides
        let bytes = try Int(node.elementBytes(data)) * shape.product((lead + depth)..<shape.rank)
        let batches = shape.product(0..<lead)
        let size = shape.product(lead..<shape.rank)
        let elementBytes = try Int(node.elementBytes(data))
        try node.compute { run throws(StepFault) in
            let (x, y) = (run.bytes(data), run.bytes(output))
            let indices = run.values(indices, as: Int64.self)
            let rows = indices.count / depth
            for row in 0..<rows {
                var place = row / Swift.max(rows / Swift.max(batches, 1), 1) * size
                for axis in 0..<depth {
                    let index = try within(indices[row * depth + axis], shape[lead + axis])
                    place += index * Int(strides[lead + axis])
                }
                y.copy(x, from: place * elementBytes, to: row * bytes, length: bytes)
            }
        }
    }

    /// Reverses the beginning of each batch entry's sequence.
    static let reverseSequence = NativeOperator(.reverseSequence) { node in
        let (input, output) = (try node.input(0), try node.output())
        let lengths = try node.integers(1)
        let shape = input.shape
        let batchAxis = node.int("batch_axis", default: 1)
        let timeAxis = node.int("time_axis", default: 0)
        guard shape.rank >= 2, Set([batchAxis, timeAxis]) == [0, 1],
            lengths.shape == [shape[batchAxis]] as Shape
        else { throw node.failure("axes or lengths do not fit \(shape)", .invalidInput) }
        let bytes = try Int(node.elementBytes(input)) * shape.product(2..<shape.rank)
        try node.compute { run throws(StepFault) in
            let (x, y) = (run.bytes(input), run.bytes(output))
            let lengths = run.values(lengths, as: Int64.self)
            for row in 0..<(shape[0] * shape[1]) {
                let places = [row / shape[1], row % shape[1]]
                let length = lengths[places[batchAxis]]
                guard length >= 0, length <= shape[timeAxis] else { throw .indexOutOfRange }
                var source = places
                if places[timeAxis] < Int(length) {
                    source[timeAxis] = Int(length) - 1 - places[timeAxis]
                }
                y.copy(
                    x, from: (source[0] * shape[1] + source[1]) * bytes, to: row * bytes,
                    length: bytes)
            }
        }
    }

    /// Emits a scatter whose places `walk` visits: pairs of an update and its target.
    private static func emitReducing(
        _ node: Lowering, _ reduction: ScatterReduction,
        _ walk: @escaping @Sendable (ComputationRun, (Int, Int) -> Void) throws(StepFault) -> Void
    ) throws {
        let type = try node.input(0).elementType
        let wide: ElementType =
            switch type {
            case .float64: .float64
            case _ where type.isInteger && type != .uint64: .int64
            case .float32, .float16, .bfloat16: .float32
            default: throw node.failure("elements of type \(type.displayName)")
            }
        let data = try node.cast(node.input(0), to: wide)
        let updates = try node.cast(node.input(2), to: wide)
        try node.produce(as: wide) { target in
            try emitExpand(node, data, target)
            try node.compute { run throws(StepFault) in
                switch wide {
                case .float64:
                    let (x, y) = (
                        run.values(updates, as: Double.self), run.values(target, as: Double.self)
                    )
                    try walk(run) { y[$1] = reduction.combined(y[$1], x[$0]) }
                case .int64:
                    let (x, y) = (
                        run.values(updates, as: Int64.self), run.values(target, as: Int64.self)
                    )
                    try walk(run) { y[$1] = reduction.combined(y[$1], x[$0]) }
                default:
                    let (x, y) = (run.floats(updates), run.floats(target))
                    try walk(run) { y[$1] = reduction.combined(y[$1], x[$0]) }
                }
            }
        }
    }
}

/// An index counted from either end, checked.
private func within(_ index: Int64, _ size: Int) throws(StepFault) -> Int {
    let counted = index < 0 ? index &+ Int64(size) : index
    guard counted >= 0, counted < Int64(size) else { throw .indexOutOfRange }
    return Int(counted)
}

/// How a scatter combines an update with what is there.
enum ScatterReduction {
    case add, multiply, minimum, maximum

    /// Nil where updates replace.
    init?(_ node: Lowering) throws {
        switch node.string("reduction", default: "none") {
        case "none": return nil
        case "add": self = .add
        case "mul": self = .multiply
        case "min": self = .minimum
        case "max": self = .maximum
        case let other: throw node.failure("reduction '\(other)'")
        }
    }

    func combined<Real: BinaryFloatingPoint>(_ left: Real, _ right: Real) -> Real {
        switch self {
        case .add: left + right
        case .multiply: left * right
        case .minimum: left.isNaN || left < right ? left : right
        case .maximum: left.isNaN || left > right ? left : right
        }
    }

    func combined(_ left: Int64, _ right: Int64) -> Int64 {
        switch self {
        case .add: left &+ right
        case .multiply: left &* right
        case .minimum: Swift.min(left, right)
        case .maximum: Swift.max(left, right)
        }
    }
}
