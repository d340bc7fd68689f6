// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// `perm`: the input's axis at each place of the output; absent, the axes in reverse.
    public static let transpose = OperatorSchema("Transpose") { context throws(GraphError) in
        let data = try context.type(0)
        guard let dimensions = data.dimensions else {
            return try context.setOutput(0, data.elementType, nil)
        }
        let order = context.ints("perm") ?? dimensions.indices.reversed()
        guard order.count == dimensions.count, order.sorted() == Array(dimensions.indices) else {
            throw context.failure("perm \(order) of \(dimensions.count) dimensions")
        }
        try context.setOutput(0, data.elementType, order.map { dimensions[$0] })
        if dimensions.count == 1, context.isKnown(0), let value = context.value(0) {
            try context.setValue(0, value)
        }
    }
}
