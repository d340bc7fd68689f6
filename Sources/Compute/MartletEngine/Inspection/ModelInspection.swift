// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletGraph
internal import MartletStorage
public import MartletTensor

/// What can be said of a model without running it.
public struct ModelInspection: Sendable {
    /// A kind of operator and how many nodes are of it.
    public struct OperatorCount: Sendable, Hashable {
        public var name: String
        public var count: Int
    }

    /// What one set of input shapes takes.
    public struct MemoryPlan: Sendable {
        public var inputShapes: [Shape]
        public var steps: Int
        /// One context's working memory.
        public var arenaBytes: Int
        public var outputBytes: Int
        /// Weights in the forms that kernels want, shared by all contexts.
        public var packedBytes: Int
    }

    public var name = ""
    public var inputs: [TensorSpec] = []
    public var outputs: [TensorSpec] = []
    /// As the file has them, most frequent first.
    public var operators: [OperatorCount] = []
    /// As the engine runs them, after all passes; empty where the model cannot be run.
    public var compiledOperators: [OperatorCount] = []
    public var parameterCount = 0
    public var parameterBytes = 0
    public var memory: MemoryPlan?
    /// "ai.onnx 17": the operator sets that a file relies on.
    public var operatorSets: [String] = []
    public var producer = ""
    public var metadata: [(key: String, value: String)] = []
    /// What an automatic choice of precisions came to.
    public var precisions: PrecisionReport?
    /// What stands in the way of running the model, with where; empty when it can be run.
    public var problems: [String] = []

    /// - Parameter inputShapes: the shapes to plan memory for; nil takes 1 for varying dimensions.
    public init(
        _ source: ModelSource, inputShapes: [Shape]? = nil,
        options: EngineOptions = EngineOptions()
    ) {
        do {
            switch source {
            case .onnxFile(let path): try read(path: path)
            case .graph(let graph): describe(graph)
            }
        } catch {
            problems.append("\(error)")
            return
        }
        do {
            let session = try NativeEngine().load(source, options: options)
            guard let session = session as? NativeSession else { return }
            compiledOperators = ModelInspection.counts(
                session.graph.nodes.map { session.graph.schema(of: $0).description })
            precisions = session.precisions
            inputs = session.signature.inputs
            outputs = session.signature.outputs
            memory = try session.memoryPlan(inputShapes: inputShapes)
        } catch let error as EngineError {
            problems += error.message.split(separator: "\n").map(String.init)
        } catch {
            problems.append("\(error)")
        }
    }

    private mutating func read(path: String) throws {
        let model = try ONNXFile(path: path).model
        name = model.graph.name
        producer = [model.producerName, model.producerVersion].filter { !$0.isEmpty }
            .joined(separator: " ")
        operatorSets = model.operatorSets.map { set in
            "\(set.domain.isEmpty ? "ai.onnx" : set.domain) \(set.version)"
        }
        metadata = model.metadata.map { ($0.key, $0.value) }
        operators = ModelInspection.counts(
            model.graph.nodes.map { node in
                node.domain.isEmpty ? node.operatorType : "\(node.domain).\(node.operatorType)"
            })
        let importer = ONNXImporter(operators: OperatorTable.standard.schemas)
        if let graph = try? importer.graph(path: path) { count(graph) }
    }

    private mutating func describe(_ graph: Graph) {
        name = graph.name
        operators = ModelInspection.counts(graph.nodes.map { graph.schema(of: $0).description })
        count(graph)
    }

    private mutating func count(_ graph: Graph) {
        for tensor in graph.constants.values {
            parameterCount += tensor.shape.elementCountChecked ?? 0
            parameterBytes += tensor.byteCount
        }
    }

    private static func counts(_ names: some Sequence<String>) -> [OperatorCount] {
        var counts: [String: Int] = [:]
        for name in names { counts[name, default: 0] += 1 }
        return counts.map { OperatorCount(name: $0.key, count: $0.value) }.sorted {
            $0.count != $1.count ? $0.count > $1.count : $0.name < $1.name
        }
    }
}

extension NativeSession {
    /// What a run with these input shapes takes.
    /// - Throws: `EngineError` where the shapes do not fit the model.
    public func memoryPlan(inputShapes: [Shape]? = nil) throws -> ModelInspection.MemoryPlan {
        let shapes =
            inputShapes
            ?? signature.inputs.map { spec in
                Shape(spec.dimensions.map { $0 < 0 ? 1 : $0 }) ?? Shape()
            }
        let plan = try root.plan(forShapes: shapes)
        return ModelInspection.MemoryPlan(
            inputShapes: shapes, steps: plan.steps.count, arenaBytes: plan.arenaByteCount,
            outputBytes: plan.outputs.reduce(0) { $0 &+ $1.byteCount },
            packedBytes: packedByteCount)
    }
}
