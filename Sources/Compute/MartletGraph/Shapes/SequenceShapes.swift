// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Sequences of tensors, and values that may be absent. What is known of a sequence's elements
// holds for each of them.
extension OperatorSchema {
    /// Inputs: the elements, at least one.
    public static let sequenceConstruct = OperatorSchema("SequenceConstruct") {
        context throws(GraphError) in
        var type = try context.tensorType(0)
        for index in context.inputs.indices.dropFirst() {
            type = type.generalised(with: try context.tensorType(index))
        }
        try context.setOutput(type: type.held(as: .sequence))
    }

    /// `dtype`: the element type (32-bit floats).
    public static let sequenceEmpty = OperatorSchema("SequenceEmpty") {
        context throws(GraphError) in
        let raw = context.int("dtype", default: Int(ElementType.float32.rawValue))
        guard let type = UInt8(exactly: raw).flatMap(ElementType.init(rawValue:)) else {
            throw context.failure("element type \(raw)", code: .unsupported)
        }
        try context.setOutput(type: ValueType(elementType: type, container: .sequence))
    }

    /// Inputs: sequence, tensor, place? (at the end).
    public static let sequenceInsert = OperatorSchema("SequenceInsert") {
        context throws(GraphError) in
        let sequence = try context.sequenceType(0)
        let element = try context.tensorType(1).held(as: .sequence)
        let isUnsaid = sequence.dimensions == nil && sequence.elementType == nil
        try context.setOutput(type: isUnsaid ? element : sequence.generalised(with: element))
    }

    /// Inputs: sequence, place? (the last).
    public static let sequenceErase = OperatorSchema("SequenceErase") {
        context throws(GraphError) in try context.setOutput(type: context.sequenceType(0))
    }

    /// Inputs: sequence, place.
    public static let sequenceAt = OperatorSchema("SequenceAt") { context throws(GraphError) in
        try context.setOutput(type: context.sequenceType(0).held(as: .tensor))
    }

    public static let sequenceLength = OperatorSchema("SequenceLength") {
        context throws(GraphError) in
        _ = try context.sequenceType(0)
        try context.setOutput(0, .int64, [])
    }

    /// Inputs: data, sizes? (one each). `axis` (0), `keepdims` (1; only without sizes).
    public static let splitToSequence = OperatorSchema("SplitToSequence") {
        context throws(GraphError) in
        var type = try context.tensorType(0)
        if let rank = type.dimensions?.count {
            let axis = try context.axis(context.int("axis"), rank: rank)
            if !context.has(1), context.int("keepdims", default: 1) == 0 {
                type.dimensions?.remove(at: axis)
            } else {
                type.dimensions?[axis] = context.has(1) ? context.freshDimension() : 1
            }
        }
        try context.setOutput(type: type.held(as: .sequence))
    }

    /// `axis`; `new_axis` (0): whether the elements are stacked.
    public static let concatFromSequence = OperatorSchema("ConcatFromSequence") {
        context throws(GraphError) in
        let sequence = try context.sequenceType(0)
        guard var shape = sequence.dimensions else {
            return try context.setOutput(0, sequence.elementType, nil)
        }
        let isStacked = context.int("new_axis") != 0
        let axis = try context.axis(
            context.int("axis"), rank: isStacked ? shape.count + 1 : shape.count)
        if isStacked { shape.insert(1, at: axis) }
        shape[axis] = context.freshDimension()
        try context.setOutput(0, sequence.elementType, shape)
    }

    /// Input: a tensor or sequence?. Without one, `type` says what is absent.
    public static let optional = OperatorSchema("Optional") { context throws(GraphError) in
        guard context.has(0) else {
            let raw = context.int("elementType", default: Int(ElementType.float32.rawValue))
            let type = UInt8(exactly: raw).flatMap(ElementType.init(rawValue:))
            return try context.setOutput(
                type: ValueType(
                    elementType: type,
                    container: context.int("holdsSequence") != 0
                        ? .optionalSequence : .optionalTensor))
        }
        let type = try context.type(0)
        let isSequence = type.container == .sequence || type.container == .optionalSequence
        try context.setOutput(
            type: type.held(as: isSequence ? .optionalSequence : .optionalTensor))
    }

    /// Whether there is a value; a value that cannot be absent counts as there.
    public static let optionalHasElement = OperatorSchema("OptionalHasElement") {
        context throws(GraphError) in try context.setOutput(0, .bool, [])
    }

    public static let optionalGetElement = OperatorSchema("OptionalGetElement") {
        context throws(GraphError) in
        let type = try context.type(0)
        let isSequence = type.container == .sequence || type.container == .optionalSequence
        try context.setOutput(type: type.held(as: isSequence ? .sequence : .tensor))
    }
}

extension ShapeContext {
    fileprivate func tensorType(_ index: Int) throws(GraphError) -> ValueType {
        let type = try type(index)
        guard type.container == .tensor else { throw failure("input \(index) is no tensor") }
        return type
    }

    fileprivate func sequenceType(_ index: Int) throws(GraphError) -> ValueType {
        let type = try type(index)
        guard type.container == .sequence else { throw failure("input \(index) is no sequence") }
        return type
    }
}
