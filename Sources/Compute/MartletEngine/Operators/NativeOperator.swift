// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletGraph

/// How the native engine computes an operator. Each is a static member in a file of its own and a
/// line of `OperatorTable`.
package struct NativeOperator: Sendable {
    package let schema: OperatorSchema
    /// Turns one node with known shapes into steps.
    let lower: @Sendable (Lowering) throws -> Void
    /// Computes one node on whole values; nil where steps do.
    let host: HostOperator?

    init(_ schema: OperatorSchema, lower: @escaping @Sendable (Lowering) throws -> Void) {
        self.schema = schema
        self.lower = lower
        host = nil
    }

    /// An operator that runs between plans: what it makes is as large as the data says.
    init(_ schema: OperatorSchema, host: @escaping HostOperator) {
        self.schema = schema
        self.host = host
        lower = { node in throw node.failure("it cannot be planned") }
    }

    /// Whether no plan can contain it.
    var isHostOnly: Bool { host != nil }
}
