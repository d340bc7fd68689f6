// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

/// Computes single nodes whose inputs are known, with the operators' own kernels: what constant
/// folding asks.
struct ConstantEvaluator: Sendable {
    let operators: OperatorTable

    /// Nil where the operator is not there or cannot be planned.
    @Sendable func evaluate(
        _ schema: OperatorSchema, _ attributes: [String: AttributeValue], _ inputs: [Tensor?],
        _ outputTypes: [ValueType]
    ) throws -> [Tensor]? {
        guard operators.operator(for: schema) != nil else { return nil }
        var graph = Graph(name: schema.name)
        let values = inputs.enumerated().map { index, tensor in
            tensor.map { graph.addConstant(name: "input\(index)", $0) }
        }
        let outputs = outputTypes.indices.map { graph.addValue(name: "output\($0)") }
        graph.addNode(schema, inputs: values, outputs: outputs, attributes: attributes)
        graph.outputs = outputs
        try graph.inferShapes()
        let session = try NativeSession(
            graph: graph, signature: graph.signature(), operators: operators,
            options: EngineOptions())
        var results: [Tensor] = []
        try session.makeContext().run([], outputs: &results, cancellation: nil)
        return results
    }
}
