// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    /// alpha · A' · B' + beta · C.
    static let gemm = NativeOperator(.gemm) { node in
        let type = try node.input().elementType
        switch type {
        case .float32: try lowerGemm(node)
        case .float16, .bfloat16, .float64: try node.lowerWidened { try lowerGemm($0) }
        default: throw node.failure("elements of type \(type.displayName)")
        }
    }

    private static func lowerGemm(_ node: Lowering) throws {
        let left = try node.input(0)
        let right = try node.input(1)
        let output = try node.output()
        let alpha = node.float("alpha", default: 1)
        let isLeftTransposed = node.int("transA") != 0
        let isRightTransposed = node.int("transB") != 0
        var epilogue = Epilogue()
        if let addend = node.optional(2) {
            let beta = node.float("beta", default: 1)
            try setAddend(node, try scaled(node, addend, by: beta), output, &epilogue)
        }
        if right.constant != nil, !isLeftTransposed {
            return try emitPackedGemm(
                node, left, right, output,
                PackedGemmOptions(
                    isTransposed: isRightTransposed, alpha: alpha, epilogue: epilogue))
        }
        var form = MatMulForm(left: left, right: right, output: output)
        form.m = Int64(output.shape[0])
        form.n = Int64(output.shape[1])
        form.k = Int64(left.shape[isLeftTransposed ? 0 : 1])
        form.leftStrides = isLeftTransposed ? (1, form.m) : (form.k, 1)
        form.rightStrides = isRightTransposed ? (1, form.k) : (form.n, 1)
        form.alpha = alpha
        form.epilogue = epilogue
        try emitMatMul(node, form)
    }

    private static func scaled(
        _ node: Lowering, _ addend: Operand, by beta: Float
    ) throws -> Operand {
        if beta == 1 { return addend }
        let product = try node.temporary(.float32, addend.shape)
        let factor = try node.filled(Double(beta), elementType: .float32)
        try emitBinary(node, MARTLET_MUL, addend, factor, product)
        return product
    }

    /// A row is a bias; anything else is spread out to the output's shape first.
    private static func setAddend(
        _ node: Lowering, _ addend: Operand, _ output: Operand, _ epilogue: inout Epilogue
    ) throws {
        let columns = output.shape[1]
        if addend.count == columns, addend.shape.last == columns {
            epilogue.bias = addend.slot
        } else if addend.shape == output.shape {
            epilogue.residual = addend.slot
        } else {
            let full = try node.temporary(.float32, output.shape)
            try emitExpand(node, addend, full)
            epilogue.residual = full.slot
        }
    }

    /// activation(A[…, K] · B + bias + residual).
    static let fusedMatMul = float32(.fusedMatMul) { node in
        let left = try node.input(0)
        let right = try node.input(1)
        let output = try node.output()
        try node.expectFloat32(left)
        let isTransposed = node.int("transB") != 0
        var epilogue = Epilogue()
        epilogue.bias = node.optional(2)?.slot ?? .none
        epilogue.residual = node.optional(3)?.slot ?? .none
        try epilogue.setActivation(FusedActivation(attributes: node.attributes))
        // The residual may be read and overwritten element by element.
        node.mayReuse(input: 3)
        if right.constant != nil {
            return try emitPackedGemm(
                node, left, right, output,
                PackedGemmOptions(isTransposed: isTransposed, epilogue: epilogue))
        }
        var form = MatMulForm(left: left, right: right, output: output)
        form.n = Int64(right.shape[isTransposed ? 0 : 1])
        form.k = Int64(right.shape[isTransposed ? 1 : 0])
        form.m = form.n == 0 ? 0 : Int64(output.count) / form.n
        form.leftStrides = (form.k, 1)
        form.rightStrides = isTransposed ? (1, form.k) : (form.n, 1)
        form.batch = BroadcastLoops(output: Shape(), operands: [Shape(), Shape(), Shape()])
        form.epilogue = epilogue
        try emitMatMul(node, form)
    }
}
