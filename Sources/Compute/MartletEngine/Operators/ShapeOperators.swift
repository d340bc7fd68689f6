// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

// Operators whose results follow from shapes: a plan knows them before any step runs, so what is
// lowered here is only what shape inference does not follow to the end.
extension NativeOperator {
    static let shape = NativeOperator(.shape) { node in
        let rank = try node.input().shape.rank
        func clamped(_ raw: Int) -> Int {
            Swift.min(Swift.max(raw < 0 ? raw + rank : raw, 0), rank)
        }
        let start = clamped(node.int("start"))
        let end = clamped(node.int("end", default: rank))
        let sizes = try node.input().shape
        let picked = start < end ? (start..<end).map { Int64(sizes[$0]) } : []
        try emitData(node, Tensor(picked), node.output())
    }

    static let size = NativeOperator(.size) { node in
        try emitData(node, Tensor([Int64(node.input().count)], shape: []), node.output())
    }

    static let range = NativeOperator(.range) { node in
        let output = try node.output()
        let start = try node.input(0)
        let delta = try node.input(2)
        try node.expectTable(of: output.count)
        if let first = start.integers?.first, let step = delta.integers?.first {
            let numbers = (0..<output.count).map { Int64(first &+ $0 &* step) }
            let data = try node.constantOperand(Tensor(numbers, shape: output.shape))
            return try emitConverted(node, data, output)
        }
        guard let first = start.reals?.first, let step = delta.reals?.first else {
            throw node.failure("start and delta must be known before the run")
        }
        let numbers = (0..<output.count).map { first + Double($0) * step }
        try emitConverted(
            node, node.constantOperand(Tensor(numbers, shape: output.shape)), output)
    }

    private static func emitData(_ node: Lowering, _ tensor: Tensor, _ output: Operand) throws {
        try emitExpand(node, node.constantOperand(tensor.reshaped(to: output.shape)), output)
    }
}

extension Lowering {
    /// Data that is known now, as an operand.
    func constantOperand(_ tensor: Tensor) -> Operand {
        Operand(
            slot: constant(tensor), elementType: tensor.elementType, shape: tensor.shape,
            constant: tensor, value: nil)
    }
}
