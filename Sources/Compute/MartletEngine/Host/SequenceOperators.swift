// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

// Sequences hold references to tensors: none of these copies elements, but splitting and joining.
extension NativeOperator {
    /// Identity of what is no tensor.
    static let passOn: HostOperator = { call in call.set(0, try call.value(0)) }

    static let sequenceConstruct = NativeOperator(.sequenceConstruct) { call in
        let tensors = try call.inputs.indices.map { try call.tensor($0) }
        call.set(0, .sequence(try call.alike(tensors)))
    }

    static let sequenceEmpty = NativeOperator(.sequenceEmpty) { call in call.set(0, .sequence([])) }

    static let sequenceInsert = NativeOperator(.sequenceInsert) { call in
        var tensors = try call.sequence(0)
        let place = call.optional(2) == nil ? tensors.count : try call.integer(2)
        let counted = place < 0 ? place + tensors.count : place
        guard counted >= 0, counted <= tensors.count else {
            throw call.failure("place \(place) in a sequence of \(tensors.count)", .invalidInput)
        }
        try call.reserve(bytes: (tensors.count + 1) * MemoryLayout<Tensor>.stride)
        tensors.insert(try call.tensor(1), at: counted)
        call.set(0, .sequence(try call.alike(tensors)))
    }

    static let sequenceErase = NativeOperator(.sequenceErase) { call in
        var tensors = try call.sequence(0)
        let place = call.optional(1) == nil ? -1 : try call.integer(1)
        tensors.remove(at: try call.place(place, in: tensors))
        call.set(0, .sequence(tensors))
    }

    static let sequenceAt = NativeOperator(.sequenceAt) { call in
        let tensors = try call.sequence(0)
        call.set(0, tensors[try call.place(call.integer(1), in: tensors)])
    }

    static let sequenceLength = NativeOperator(.sequenceLength) { call in
        call.set(0, try Tensor([Int64(call.sequence(0).count)], shape: []))
    }

    static let splitToSequence = NativeOperator(.splitToSequence) { call in
        let tensor = try call.tensor(0)
        let axis = try call.axis(call.int("axis"), rank: tensor.shape.rank)
        let size = tensor.shape[axis]
        try call.reserve(size, each: MemoryLayout<Int>.stride)
        let sizes = try call.partSizes(size)
        let keepsAxis = call.optional(1) != nil || call.int("keepdims", default: 1) != 0
        var parts: [Tensor] = []
        var start = 0
        for count in sizes {
            var part = try call.slices(tensor, axis: axis, Array(start..<(start + count)))
            if !keepsAxis {
                var rest = Array(part.shape)
                rest.remove(at: axis)
                if let shape = Shape(rest) { part = try part.reshaped(to: shape) }
            }
            parts.append(part)
            start += count
        }
        call.set(0, .sequence(parts))
    }

    static let concatFromSequence = NativeOperator(.concatFromSequence) { call in
        let tensors = try call.sequence(0)
        guard let first = tensors.first else {
            throw call.failure("an empty sequence has nothing to join", .invalidInput)
        }
        let isStacked = call.int("new_axis") != 0
        let rank = first.shape.rank + (isStacked ? 1 : 0)
        let axis = try call.axis(call.int("axis"), rank: rank)
        call.set(
            0,
            isStacked
                ? try call.stacked(tensors, axis: axis) : try call.joined(tensors, axis: axis))
    }

    static let optional = NativeOperator(.optional) { call in
        call.set(0, call.optional(0) ?? EngineValue.none)
    }

    static let optionalHasElement = NativeOperator(.optionalHasElement) { call in
        let value = call.optional(0) ?? EngineValue.none
        let isThere = value.tensor != nil || value.sequence != nil
        call.set(0, try Tensor(booleans: [isThere], shape: []))
    }

    static let optionalGetElement = NativeOperator(.optionalGetElement) { call in
        let value = try call.value(0)
        if case EngineValue.none = value {
            throw call.failure("there is no value", .invalidInput)
        }
        call.set(0, value)
    }
}

extension HostCall {
    /// The tensors, which must be of one element type.
    fileprivate func alike(_ tensors: [Tensor]) throws -> [Tensor] {
        guard let first = tensors.first,
            let other = tensors.first(where: { $0.elementType != first.elementType })
        else { return tensors }
        throw failure("\(first.summary) and \(other.summary) in one sequence", .invalidInput)
    }

    /// A place counted from either end.
    fileprivate func place(_ place: Int, in tensors: [Tensor]) throws -> Int {
        let counted = place < 0 ? place + tensors.count : place
        guard tensors.indices.contains(counted) else {
            throw failure("element \(place) of a sequence of \(tensors.count)", .invalidInput)
        }
        return counted
    }

    /// The sizes that a split asks for: one number is the size of all but the last.
    fileprivate func partSizes(_ size: Int) throws -> [Int] {
        guard let split = try optionalTensor(1) else {
            try reserve(size, each: MemoryLayout<Tensor>.stride)
            return Array(repeating: 1, count: size)
        }
        guard let sizes = HostValue(split)?.integers, sizes.allSatisfy({ $0 >= 0 }) else {
            throw failure("sizes \(split.summary)", .invalidInput)
        }
        if split.shape.rank > 0 {
            var sum = 0
            for part in sizes { sum = sum.addingReportingOverflow(part).partialValue }
            guard sizes.allSatisfy({ $0 <= size }), sum == size else {
                throw failure("sizes \(sizes) of \(size)", .invalidInput)
            }
            return sizes
        }
        guard let each = sizes.first, each > 0 else { throw failure("parts of 0", .invalidInput) }
        try reserve(size / each + 1, each: MemoryLayout<Tensor>.stride)
        var parts = Array(repeating: each, count: size / each)
        if size % each > 0 { parts.append(size % each) }
        return parts
    }
}
