// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let negativeLogLikelihoodLoss = NativeOperator(.negativeLogLikelihoodLoss) { node in
        try emitLoss(node, node.floats(0))
    }

    /// The same of the scores' log softmax over the classes.
    static let softmaxCrossEntropyLoss = NativeOperator(.softmaxCrossEntropyLoss) { node in
        let scores = try node.floats(0)
        let logarithms = try node.temporary(.float32, scores.shape)
        try unsafe node.emit(
            softmaxStep,
            SoftmaxArguments(
                input: scores.slot, output: logarithms.slot, outer: Int64(scores.shape[0]),
                size: Int64(scores.shape[1]),
                inner: Int64(scores.shape.product(2..<scores.shape.rank)),
                logarithm: 1))
        if node.optionalOutput(0) != nil { try emitLoss(node, logarithms) }
        if let output = node.optionalOutput(1) { try emitCast(node, logarithms, output) }
    }

    private static func emitLoss(_ node: Lowering, _ logarithms: Operand) throws {
        let labels = try node.integers(1)
        let weights = try node.optionalFloats(2)
        let classes = logarithms.shape[1]
        let inner = logarithms.shape.product(2..<logarithms.shape.rank)
        let ignored = node.attributes["ignore_index"]?.int.map { Int64($0) }
        let reduction = node.string("reduction", default: "mean")
        try node.produce { loss in
            try node.compute { run throws(StepFault) in
                let values = run.floats(logarithms)
                let labels = run.values(labels, as: Int64.self)
                let shares = weights.map { run.floats($0) }
                let loss = run.floats(loss)
                var total = 0.0
                var weight = 0.0
                for place in 0..<labels.count {
                    let label = labels[place]
                    if label == ignored {
                        if reduction == "none" { loss[place] = 0 }
                        continue
                    }
                    guard label >= 0, label < classes else { throw .indexOutOfRange }
                    let batch = place / inner
                    let index = (batch * classes + Int(label)) * inner + place % inner
                    let share = Double(shares?[Int(label)] ?? 1)
                    let value = -Double(values[index]) * share
                    if reduction == "none" { loss[place] = Float(value) }
                    total += value
                    weight += share
                }
                if reduction == "mean" { loss[0] = Float(total / weight) }
                if reduction == "sum" { loss[0] = Float(total) }
            }
        }
    }
}
