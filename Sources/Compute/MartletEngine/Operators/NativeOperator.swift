// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletGraph

/// How the native engine computes an operator. Each is a static member in a file of its own and a
/// line of `OperatorTable`.
package struct NativeOperator: Sendable {
    package let schema: OperatorSchema
    /// Turns one node with known shapes into steps.
    let lower: @Sendable (Lowering) throws -> Void

    init(_ schema: OperatorSchema, lower: @escaping @Sendable (Lowering) throws -> Void) {
        self.schema = schema
        self.lower = lower
    }
}
