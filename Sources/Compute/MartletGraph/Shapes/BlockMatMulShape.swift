// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

extension OperatorSchema {
    /// activation(A[…, K] · B + bias + residual) with 4-bit B, each `block_size` weights of a
    /// column with a scale of their own: weight = (nibble - zero) · scale.
    ///
    /// Inputs: A, B, bias?, residual?, scales, zero points?. All but A and the residual are
    /// constants: B holds N · K nibbles, of type uint4 or int4 or packed two to a uint8, scales
    /// and zero points (float32) are [N, K / block_size]; with `transB` 0 all are the other way
    /// round: [K, N] and [K / block_size, N]. Attributes: `K`, `N`, `block_size`, `transB`, the
    /// activation as `FusedActivation` documents it.
    public static let blockMatMul = OperatorSchema(
        "BlockMatMul", domain: "martlet"
    ) { context throws(GraphError) in
        let left = try context.type(0)
        let k = context.int("K")
        let n = context.int("N")
        guard k > 0, n > 0, context.int("block_size") > 0 else {
            throw context.failure("K, N and block_size must be positive")
        }
        guard var result = left.dimensions else {
            return try context.setOutput(0, left.elementType, nil)
        }
        guard let inner = result.popLast() else { throw context.failure("A is a scalar") }
        try context.expectEqual(inner, Dimension(k), "inner dimensions")
        result.append(Dimension(n))
        try context.setOutput(0, left.elementType, result)
    }
}
