// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// Computes what depends on constants alone.
///
/// Shape arithmetic is taken from shape inference; everything else is computed by the evaluator.
/// Each node is evaluated once, and inputs that nothing else reads are let go at once.
public struct FoldConstants: GraphPass {
    public static let name = "fold-constants"

    /// Computes a node whose inputs are all known; nil where the operator has no implementation.
    public typealias Evaluator =
        @Sendable (
            _ schema: OperatorSchema, _ attributes: [String: AttributeValue], _ inputs: [Tensor?],
            _ outputTypes: [ValueType]
        ) throws -> [Tensor]?

    private let evaluate: Evaluator
    private let bytesMax: Int

    /// - Parameter bytesMax: the most bytes that computed constants may take together; what would
    ///   pass it stays a node.
    public init(bytesMax: Int = 8 << 30, evaluate: @escaping Evaluator = { _, _, _, _ in nil }) {
        self.evaluate = evaluate
        self.bytesMax = bytesMax
    }

    public func run(on graph: inout Graph) throws(GraphError) -> Int {
        let inferred = try ShapeInference(graph).run()
        var changes = 0
        var bytes = 0
        for node in Array(graph.nodes) where !graph.schema(of: node).isRandom {
            let outputs = graph.outputs(of: node)
            if let known = tensors(known: inferred, outputs) {
                replace(outputs, by: known, of: node, in: &graph)
                changes += 1
                continue
            }
            guard let inputs = constantInputs(of: node, in: graph) else { continue }
            let types = outputs.map { output in
                output.map { inferred.type(of: $0) } ?? ValueType()
            }
            // What runs graphs, or makes no tensor, is left to the run.
            if graph.hasBodies(node) || types.contains(where: { $0.container != .tensor }) {
                continue
            }
            let size = types.reduce(0) { $0 + (byteCount($1) ?? 0) }
            guard bytes + size <= bytesMax else { continue }
            guard let computed = computed(node, inputs, types, in: graph) else { continue }
            bytes += computed.reduce(0) { $0 + $1.byteCount }
            replace(outputs, by: computed, of: node, in: &graph)
            changes += 1
        }
        return changes
    }

    private func tensors(known: InferredTypes, _ outputs: [ValueID?]) -> [Tensor?]? {
        guard !outputs.isEmpty else { return nil }
        var tensors: [Tensor?] = []
        for output in outputs {
            guard let output else {
                tensors.append(nil)
                continue
            }
            guard let tensor = known.value(of: output)?.tensor() else { return nil }
            tensors.append(tensor)
        }
        return tensors
    }

    private func constantInputs(of node: NodeID, in graph: Graph) -> [Tensor?]? {
        var tensors: [Tensor?] = []
        for input in graph.inputs(of: node) {
            guard let input else {
                tensors.append(nil)
                continue
            }
            guard let tensor = graph.constant(input) else { return nil }
            tensors.append(tensor)
        }
        return tensors
    }

    private func computed(
        _ node: NodeID, _ inputs: [Tensor?], _ types: [ValueType], in graph: Graph
    ) -> [Tensor]? {
        // An evaluator that fails leaves the node for the run to report.
        let result = try? evaluate(
            graph.schema(of: node), graph.attributes[Int(node.index)], inputs, types)
        guard let result, result.count == types.count else { return nil }
        for (tensor, type) in zip(result, types) {
            if let shape = type.fixedShape, shape != tensor.shape { return nil }
            if let elementType = type.elementType, elementType != tensor.elementType { return nil }
        }
        return result
    }

    private func replace(
        _ outputs: [ValueID?], by tensors: [Tensor?], of node: NodeID, in graph: inout Graph
    ) {
        let inputs = graph.inputs(of: node)
        graph.removeNode(node)
        for case (let output?, let tensor?) in zip(outputs, tensors) {
            graph.setConstant(output, tensor)
        }
        for case let input? in inputs where graph.constant(input) != nil {
            graph.dropIfUnread(input)
        }
    }

    private func byteCount(_ type: ValueType) -> Int? {
        type.fixedShape?.elementCountChecked.flatMap { type.elementType?.byteCount(elements: $0) }
    }
}
