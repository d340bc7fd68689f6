// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Operators that read or state shapes.
extension OperatorSchema {
    /// The input's dimensions from `start` (0) to `end`, as int64.
    public static let shape = OperatorSchema("Shape") { context throws(GraphError) in
        guard let dimensions = try context.dimensions(0) else {
            return try context.setOutput(0, .int64, [context.freshDimension()])
        }
        func clamped(_ raw: Int) -> Int {
            Swift.min(Swift.max(raw < 0 ? raw + dimensions.count : raw, 0), dimensions.count)
        }
        let start = clamped(context.int("start"))
        let end = clamped(context.int("end", default: dimensions.count))
        let picked = start < end ? Array(dimensions[start..<end]) : []
        try context.setValue(0, HostValue(integers: picked, shape: [picked.count]))
    }

    /// The number of elements, as an int64 scalar.
    public static let size = OperatorSchema("Size") { context throws(GraphError) in
        try context.setOutput(0, .int64, [])
        guard let dimensions = try context.dimensions(0) else { return }
        var total: Dimension = 1
        for dimension in dimensions { total = try context.product(total, dimension) }
        try context.setValue(0, HostValue(integers: [total], shape: []))
    }

    /// A tensor of the shape that the input holds, filled with `value` (a float 0).
    public static let constantOfShape = OperatorSchema(
        "ConstantOfShape"
    ) { context throws(GraphError) in
        let fill = context.attributes["value"]?.tensor
        let elementType = fill?.elementType ?? .float32
        guard let dimensions = context.value(0)?.dimensions else {
            let rank = try context.length(0)
            let unknown = rank.map { (0..<Swift.min($0, 64)).map { _ in context.freshDimension() } }
            return try context.setOutput(0, elementType, unknown)
        }
        try context.setOutput(0, elementType, dimensions)
        guard let shape = ValueType(dimensions: dimensions).fixedShape,
            let count = shape.elementCountChecked, count <= 64
        else { return }
        var element = HostValue(elementType: .float32, shape: [1], elements: .reals([0]))
        if let fill {
            guard fill.elementCount == 1, let read = HostValue(fill) else { return }
            element = read
        }
        try context.setValue(
            0, element.gathered(Array(repeating: 0, count: count), shape: shape))
    }

    /// Inputs: data, shape; both broadcast to the output.
    public static let expand = OperatorSchema("Expand") { context throws(GraphError) in
        let data = try context.type(0)
        guard let target = context.value(1)?.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        let dimensions = try context.broadcast([data.dimensions, target])
        try context.setOutput(0, data.elementType, dimensions)
        guard context.isKnown(0), let value = context.value(0),
            let shape = ValueType(dimensions: dimensions).fixedShape,
            let places = value.broadcastIndices(to: shape)
        else { return }
        try context.setValue(0, value.gathered(places, shape: shape))
    }

    /// Inputs: condition, value where true, value where false.
    public static let `where` = OperatorSchema("Where") { context throws(GraphError) in
        let first = try context.type(1)
        let second = try context.type(2)
        let dimensions = try context.broadcast([
            context.dimensions(0), first.dimensions, second.dimensions,
        ])
        let elementType = first.elementType ?? second.elementType
        try context.setOutput(0, elementType, dimensions)
        guard context.isKnown(0), context.isKnown(1), context.isKnown(2), let elementType,
            let shape = ValueType(dimensions: dimensions).fixedShape,
            let condition = context.value(0), let choice = condition.dimensions,
            let yes = context.value(1), let no = context.value(2),
            let choices = condition.broadcastIndices(to: shape),
            let yesPlaces = yes.broadcastIndices(to: shape),
            let noPlaces = no.broadcastIndices(to: shape),
            let yesValues = yes.dimensions, let noValues = no.dimensions
        else { return }
        let picked = choices.indices.map { index -> Dimension in
            switch choice[choices[index]].fixed {
            case 0: noValues[noPlaces[index]]
            case nil: context.freshDimension()
            default: yesValues[yesPlaces[index]]
            }
        }
        try context.setValue(
            0, HostValue(elementType: elementType, shape: shape, elements: .integers(picked)))
    }

    /// Scalars start, limit, delta.
    public static let range = OperatorSchema("Range") { context throws(GraphError) in
        let elementType = try context.type(0).elementType
        guard let start = context.value(0)?.reals?.first,
            let limit = context.value(1)?.reals?.first,
            let delta = context.value(2)?.reals?.first
        else {
            var length = context.freshDimension()
            if context.integers(0) == [0], context.integers(2) == [1],
                let limit = context.value(1)?.dimensions?.first
            {
                length = limit
            }
            return try context.setOutput(0, elementType, [length])
        }
        guard delta != 0, let count = Int(exactly: ((limit - start) / delta).rounded(.up)) else {
            throw context.failure("range from \(start) to \(limit) by \(delta)")
        }
        let length = Swift.max(count, 0)
        try context.setOutput(0, elementType, [Dimension(length)])
        guard elementType == .int64 || elementType == .int32, let elementType, length <= 256,
            let first = context.integers(0)?.first, let step = context.integers(2)?.first
        else { return }
        let numbers = (0..<length).map { Dimension(first &+ $0 &* step) }
        try context.setValue(
            0, HostValue(elementType: elementType, shape: [length], elements: .integers(numbers)))
    }
}
