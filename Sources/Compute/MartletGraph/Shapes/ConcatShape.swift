// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// `axis`: where the inputs are put one after the other.
    public static let concat = OperatorSchema("Concat") { context throws(GraphError) in
        let first = try context.type(0)
        guard var result = first.dimensions else {
            return try context.setOutput(0, first.elementType, nil)
        }
        guard context.attributes["axis"] != nil else {
            throw context.failure("attribute 'axis' is missing", code: .invalidModel)
        }
        let axis = try context.axis(context.int("axis"), rank: result.count)
        for index in context.inputs.indices.dropFirst() {
            guard let next = try context.dimensions(index) else {
                return try context.setOutput(0, first.elementType, nil)
            }
            guard next.count == result.count else {
                throw context.failure(
                    "\(context.describe(result)) and \(context.describe(next)) differ in rank")
            }
            for place in result.indices where place != axis {
                try context.expectEqual(
                    result[place], next[place], "inputs 0 and \(index), axis \(place)")
                if result[place].fixed == nil { result[place] = next[place] }
            }
            result[axis] = try context.sum(result[axis], next[axis])
        }
        try context.setOutput(0, first.elementType, result)
        try foldConcat(&context, rank: result.count)
    }

    private static func foldConcat(
        _ context: inout ShapeContext, rank: Int
    ) throws(GraphError) {
        guard rank == 1, context.inputs.indices.allSatisfy({ context.isKnown($0) }) else { return }
        var integers: [Dimension] = []
        var reals: [Double] = []
        var elementType = ElementType.int64
        for index in context.inputs.indices {
            guard let value = context.value(index) else { return }
            elementType = value.elementType
            switch value.elements {
            case .integers(let part): integers += part
            case .reals(let part): reals += part
            }
        }
        guard integers.isEmpty || reals.isEmpty,
            integers.count + reals.count <= HostValue.elementsMax
        else { return }
        try context.setValue(
            0,
            HostValue(
                elementType: elementType, shape: [integers.count + reals.count],
                elements: reals.isEmpty ? .integers(integers) : .reals(reals)))
    }
}
