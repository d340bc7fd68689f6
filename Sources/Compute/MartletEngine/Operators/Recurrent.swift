// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

// All tokens' products with W are one matrix product; those with R are one a step.
extension NativeOperator {
    static let rnn = float32(.rnn) { node in try lowerRecurrent(node, .rnn) }
    static let gru = float32(.gru) { node in try lowerRecurrent(node, .gru) }
    static let lstm = float32(.lstm) { node in try lowerRecurrent(node, .lstm) }

    private static func lowerRecurrent(_ node: Lowering, _ kind: RecurrentKind) throws {
        let form = try RecurrentForm(node, kind)
        var input = try node.input(0)
        if form.isBatchFirst {
            let turned = try node.temporary(
                .float32, [form.length, form.batch, input.shape[2]])
            try emitTranspose(node, input, turned, order: [1, 0, 2])
            input = turned
        }
        for direction in 0..<form.directions {
            let bias = try form.emitBias(node, direction)
            let gates = try node.temporary(.float32, [form.length * form.batch, form.rows])
            let width = input.shape[2]
            let weights = node.part(
                try node.input(1), offset: direction * form.rows * width,
                shape: [form.rows, width])
            var product = MatMulForm(
                left: input.viewed(as: [form.length * form.batch, width]), right: weights,
                output: gates)
            product.n = Int64(form.rows)
            product.k = Int64(width)
            product.rightStrides = (1, Int64(width))
            product.epilogue.bias = bias.slot
            try emitMatMul(node, product)
            let cell = try RecurrentCell(node, form, direction, gates: gates, bias: bias)
            try node.compute { run throws(StepFault) in try cell.run(run) }
        }
    }
}

extension Lowering {
    /// Elements of an operand from an offset on, under a shape of their own.
    func part(_ operand: Operand, offset: Int, shape: Shape) -> Operand {
        let bytes = (operand.elementType.bitWidth ?? 8) / 8
        let slot = builder.slots.addView(
            of: operand.slot, offset: offset * bytes,
            byteCount: (shape.elementCountChecked ?? 0) * bytes)
        return Operand(
            slot: slot, elementType: operand.elementType, shape: shape, constant: nil, value: nil)
    }
}

enum RecurrentKind {
    case rnn, gru, lstm

    var gates: Int {
        switch self {
        case .rnn: 1
        case .gru: 3
        case .lstm: 4
        }
    }
}

/// The sizes and attributes of a recurrent node.
struct RecurrentForm: Sendable {
    let kind: RecurrentKind
    let length: Int
    let batch: Int
    let hidden: Int
    let directions: Int
    let isBatchFirst: Bool
    let clip: Float?
    /// GRU: the reset gate acts on the product and not on the state.
    let resetsProduct: Bool
    /// LSTM: the forget gate is what the input gate leaves.
    let couplesForget: Bool
    private let isReversed: Bool
    private let activations: [RecurrentActivation]

    /// Rows of a direction's weights.
    var rows: Int { kind.gates * hidden }

    init(_ node: Lowering, _ kind: RecurrentKind) throws {
        let input = try node.input(0)
        let recurrent = try node.input(2)
        try node.expectFloat32(input)
        self.kind = kind
        isBatchFirst = node.int("layout") != 0
        length = input.shape[isBatchFirst ? 1 : 0]
        batch = input.shape[isBatchFirst ? 0 : 1]
        hidden = recurrent.shape[2]
        directions = recurrent.shape[0]
        let direction = node.string("direction", default: "forward")
        guard ["forward", "reverse", "bidirectional"].contains(direction),
            recurrent.shape == [directions, kind.gates * hidden, hidden] as Shape
        else { throw node.failure("direction '\(direction)' or R's shape", .invalidModel) }
        isReversed = direction == "reverse"
        clip = node.attributes["clip"]?.float
        resetsProduct = node.int("linear_before_reset") != 0
        couplesForget = node.int("input_forget") != 0
        activations = try RecurrentActivation.all(node, kind, directions: directions)
        let states: Shape =
            isBatchFirst ? [batch, directions, hidden] : [directions, batch, hidden]
        for index in [5, 6] {
            if let state = node.optional(index), state.shape != states {
                throw node.failure("a state of shape \(state.shape)", .invalidInput)
            }
        }
        if let biases = node.optional(3), biases.count != directions * 2 * kind.gates * hidden {
            throw node.failure("biases of shape \(biases.shape)", .invalidModel)
        }
        if let peepholes = node.optional(7), peepholes.count != directions * 3 * hidden {
            throw node.failure("peepholes of shape \(peepholes.shape)", .invalidModel)
        }
        if let lengths = node.optional(4), lengths.count != batch {
            throw node.failure("lengths of shape \(lengths.shape)", .invalidInput)
        }
    }

    func goesBack(_ direction: Int) -> Bool { isReversed || direction == 1 }

    func activation(_ direction: Int, _ index: Int) -> RecurrentActivation {
        let each = activations.count / directions
        return activations[direction * each + index]
    }

    /// Emits the sum of W's and R's biases, without R's for a gate that the reset acts on.
    func emitBias(_ node: Lowering, _ direction: Int) throws -> Operand {
        let sum = try node.temporary(.float32, [rows])
        let biases = node.optional(3)
        let (rows, hidden) = (rows, hidden)
        let kept = kind == .gru && resetsProduct ? 2 * hidden : rows
        try node.compute { run throws(StepFault) in
            let y = run.floats(sum)
            guard let biases else { return y.fill(0) }
            let x = run.floats(biases)
            for row in 0..<rows {
                y[row] = x[2 * direction * rows + row]
                if row < kept { y[row] += x[(2 * direction + 1) * rows + row] }
            }
        }
        return sum
    }
}

/// An activation of a recurrent node.
struct RecurrentActivation: Sendable {
    private enum Kind { case kernel(martlet_unary), affine, scaledTanh }

    private let kind: Kind
    private let alpha: Float
    private let beta: Float

    /// The activations of every direction, defaults filled in.
    static func all(
        _ node: Lowering, _ kind: RecurrentKind, directions: Int
    ) throws -> [RecurrentActivation] {
        var names: [String]
        switch kind {
        case .rnn: names = ["Tanh"]
        case .gru: names = ["Sigmoid", "Tanh"]
        case .lstm: names = ["Sigmoid", "Tanh", "Tanh"]
        }
        let each = names.count
        names = (0..<directions).flatMap { _ in names }
        if case .strings(let given)? = node.attributes["activations"] {
            guard given.count == each * directions else {
                throw node.failure("\(given.count) activations", .invalidModel)
            }
            names = given
        }
        var alphas = (node.attributes["activation_alpha"]?.floats ?? [])[...]
        var betas = (node.attributes["activation_beta"]?.floats ?? [])[...]
        return try names.map { name in
            func made(
                _ kind: Kind, alpha: Float? = nil, beta: Float? = nil
            ) -> RecurrentActivation {
                RecurrentActivation(
                    kind: kind, alpha: alpha.map { alphas.popFirst() ?? $0 } ?? 0,
                    beta: beta.map { betas.popFirst() ?? $0 } ?? 0)
            }
            switch name.lowercased() {
            case "relu": return made(.kernel(MARTLET_RELU))
            case "tanh": return made(.kernel(MARTLET_TANH))
            case "sigmoid": return made(.kernel(MARTLET_SIGMOID))
            case "softsign": return made(.kernel(MARTLET_SOFTSIGN))
            case "softplus": return made(.kernel(MARTLET_SOFTPLUS))
            case "leakyrelu": return made(.kernel(MARTLET_LEAKY_RELU), alpha: 0.01)
            case "thresholdedrelu": return made(.kernel(MARTLET_THRESHOLDED_RELU), alpha: 1)
            case "elu": return made(.kernel(MARTLET_ELU), alpha: 1)
            case "hardsigmoid": return made(.kernel(MARTLET_HARD_SIGMOID), alpha: 0.2, beta: 0.5)
            case "affine": return made(.affine, alpha: 1, beta: 0)
            case "scaledtanh": return made(.scaledTanh, alpha: 1, beta: 1)
            default: throw node.failure("activation '\(name)'")
            }
        }
    }

    /// Applies it to `count` elements from `start` on.
    func apply(_ values: UnsafeMutablePointer<Float>, count: Int) {
        switch kind {
        case .kernel(let operation):
            unsafe martlet_unary_f32(operation, values, values, Int64(count), alpha, beta, 1)
        case .affine:
            for index in 0..<count { unsafe values[index] = alpha * values[index] + beta }
        case .scaledTanh:
            for index in 0..<count { unsafe values[index] *= beta }
            unsafe martlet_unary_f32(MARTLET_TANH, values, values, Int64(count), 0, 0, 1)
            for index in 0..<count { unsafe values[index] *= alpha }
        }
    }
}
