// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Inputs: X[T, B, I], W[D, gates · H, I], R[D, gates · H, H], biases[D, 2 · gates · H]?,
// lengths[B]?, the first hidden state[D, B, H]?. `hidden_size`, `direction`, `activations`,
// `activation_alpha`, `activation_beta`, `clip`, `layout` (1: the batch first). Outputs:
// Y[T, D, B, H], the last hidden state[D, B, H].
extension OperatorSchema {
    public static let rnn = OperatorSchema("RNN") { context throws(GraphError) in
        try inferRecurrent(&context, gates: 1)
    }

    /// And `linear_before_reset`.
    public static let gru = OperatorSchema("GRU") { context throws(GraphError) in
        try inferRecurrent(&context, gates: 3)
    }

    /// And input 6, the first cell state; input 7, peepholes[D, 3 · H]; output 2, the last cell
    /// state; `input_forget`.
    public static let lstm = OperatorSchema("LSTM") { context throws(GraphError) in
        try inferRecurrent(&context, gates: 4)
    }

    private static func inferRecurrent(
        _ context: inout ShapeContext, gates: Int
    ) throws(GraphError) {
        let data = try context.type(0)
        guard let input = data.dimensions, let weights = try context.dimensions(1),
            let recurrent = try context.dimensions(2)
        else {
            for index in 0..<3 { try context.setOutput(index, data.elementType, nil) }
            return
        }
        guard input.count == 3, weights.count == 3, recurrent.count == 3 else {
            throw context.failure("data and weights have three dimensions")
        }
        let directions = context.string("direction", default: "forward") == "bidirectional" ? 2 : 1
        let hidden = recurrent[2]
        try context.expectEqual(weights[0], Dimension(directions), "directions of W")
        try context.expectEqual(recurrent[0], Dimension(directions), "directions of R")
        try context.expectEqual(weights[2], input[2], "widths of W and data")
        let rows = try context.product(hidden, Dimension(gates))
        try context.expectEqual(weights[1], rows, "rows of W and gates")
        try context.expectEqual(recurrent[1], rows, "rows of R and gates")
        let isBatchFirst = context.int("layout") != 0
        let (length, batch) = isBatchFirst ? (input[1], input[0]) : (input[0], input[1])
        let parts = Dimension(directions)
        let state = isBatchFirst ? [batch, parts, hidden] : [parts, batch, hidden]
        try context.setOutput(
            0, data.elementType,
            isBatchFirst ? [batch, length, parts, hidden] : [length, parts, batch, hidden])
        try context.setOutput(1, data.elementType, state)
        try context.setOutput(2, data.elementType, state)
    }
}
