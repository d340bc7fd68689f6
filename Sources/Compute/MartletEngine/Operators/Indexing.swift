// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletGraph
internal import MartletTensor

// Operators that read or write single elements or slices at computed places.
extension NativeOperator {
    static let gatherElements = NativeOperator(.gatherElements) { node in
        let data = try node.input(0)
        let indices = try node.cast(node.input(1), to: .int64)
        try emitElements(node, data, indices, node.output(), isScatter: false)
    }

    static func emitElements(
        _ node: Lowering, _ source: Operand, _ indices: Operand, _ output: Operand,
        isScatter: Bool
    ) throws {
        let table = isScatter ? output : source
        let axis = try node.axis(node.int("axis"), rank: table.shape.rank)
        // Only coordinates along the axis are looked at while the model runs.
        guard indices.shape.rank == table.shape.rank,
            indices.shape.indices.allSatisfy({
                $0 == axis || indices.shape[$0] <= table.shape[$0]
            }), (isScatter ? source : output).shape == indices.shape
        else { throw node.failure("indices of shape \(indices.shape)", .invalidInput) }
        try unsafe node.emit(
            elementsStep,
            ElementsArguments(
                elementBytes: Int(node.elementBytes(table)), source: source.slot,
                indices: indices.slot, output: output.slot, axis: axis, isScatter: isScatter,
                shape: Extents(indices.shape), tableStrides: Extents(table.strides),
                tableSize: Int64(table.shape[axis]), count: indices.count))
    }

    static func emitSlices(
        _ node: Lowering, _ table: Shape, _ indices: Operand, from: Operand, to: Operand,
        isScatter: Bool
    ) throws {
        let depth = indices.shape.last ?? 0
        guard depth >= 1, depth <= table.rank else {
            throw node.failure("indices of shape \(indices.shape)", .invalidModel)
        }
        let elementBytes = try Int(node.elementBytes(from))
        let slice = table.product(depth..<table.rank)
        guard (isScatter ? from : to).count == indices.count / depth * slice else {
            throw node.failure("indices of shape \(indices.shape)", .invalidInput)
        }
        try unsafe node.emit(
            slicesStep,
            SlicesArguments(
                from: from.slot, indices: indices.slot, to: to.slot, isScatter: isScatter,
                depth: depth, count: indices.count / depth,
                sliceBytes: slice * elementBytes,
                shape: Extents(table),
                strideBytes: Extents(table.rowMajorStrides.map { $0 * Int64(elementBytes) })))
    }
}

struct ElementsArguments: BitwiseCopyable {
    var elementBytes: Int
    var source: Slot
    var indices: Slot
    var output: Slot
    var axis: Int
    var isScatter: Bool
    /// The indices' shape.
    var shape: Extents
    /// Of what is indexed: the data, or the scatter's output.
    var tableStrides: Extents
    var tableSize: Int64
    var count: Int
}

func elementsStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: ElementsArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let source = unsafe frame[arguments.source],
        let output = unsafe frame[arguments.output],
        let indices = unsafe frame[arguments.indices]?.assumingMemoryBound(to: Int64.self)
    else { return -1 }
    let rank = Int(arguments.shape.count)
    var place = InlineArray<12, Int64>(repeating: 0)
    for position in 0..<arguments.count {
        var index = unsafe indices[position]
        if index < 0 { index += arguments.tableSize }
        guard index >= 0, index < arguments.tableSize else { return StepStatus.indexOutOfRange }
        var offset: Int64 = 0
        for axis in 0..<rank {
            let coordinate = axis == arguments.axis ? index : place[axis]
            offset &+= coordinate &* arguments.tableStrides[axis]
        }
        let inTable = Int(offset) * arguments.elementBytes
        let inLine = position * arguments.elementBytes
        if arguments.isScatter {
            unsafe memcpy(output + inTable, source + inLine, arguments.elementBytes)
        } else {
            unsafe memcpy(output + inLine, source + inTable, arguments.elementBytes)
        }
        var axis = rank - 1
        while axis >= 0 {
            place[axis] += 1
            if place[axis] < arguments.shape[axis] { break }
            place[axis] = 0
            axis -= 1
        }
    }
    return StepStatus.done
}

struct SlicesArguments: BitwiseCopyable {
    var from: Slot
    var indices: Slot
    var to: Slot
    var isScatter: Bool
    var depth: Int
    var count: Int
    var sliceBytes: Int
    var shape: Extents
    var strideBytes: Extents
}

func slicesStep(_ raw: UnsafeRawPointer, _ frame: UnsafeRawPointer) -> Int32 {
    let arguments = unsafe raw.load(as: SlicesArguments.self)
    let frame = unsafe StepFrame(frame)
    guard let from = unsafe frame[arguments.from], let to = unsafe frame[arguments.to],
        let indices = unsafe frame[arguments.indices]?.assumingMemoryBound(to: Int64.self)
    else { return -1 }
    for position in 0..<arguments.count {
        var offset: Int64 = 0
        for axis in 0..<arguments.depth {
            var index = unsafe indices[position * arguments.depth + axis]
            if index < 0 { index += arguments.shape[axis] }
            guard index >= 0, index < arguments.shape[axis] else {
                return StepStatus.indexOutOfRange
            }
            offset &+= index &* arguments.strideBytes[axis]
        }
        let inLine = position * arguments.sliceBytes
        if arguments.isScatter {
            unsafe memcpy(to + Int(offset), from + inLine, arguments.sliceBytes)
        } else {
            unsafe memcpy(to + inLine, from + Int(offset), arguments.sliceBytes)
        }
    }
    return StepStatus.done
}
