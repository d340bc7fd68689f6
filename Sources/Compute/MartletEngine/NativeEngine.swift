// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletGraph
internal import MartletStorage
internal import MartletTensor

/// The engine that runs models on this machine's processors.
public struct NativeEngine: Engine {
    public var name: String { "native" }

    private let operators: OperatorTable

    public init() {
        operators = .standard
    }

    /// An engine with other operators; for tests.
    package init(operators: OperatorTable) {
        self.operators = operators
    }

    public func load(_ source: ModelSource, options: EngineOptions) throws -> any EngineSession {
        do {
            switch source {
            case .onnxFile(let path):
                let importer = ONNXImporter(operators: operators.schemas)
                return try prepare(importer.graph(path: path), options: options)
            case .graph(var graph):
                // Builders may leave types to us.
                try graph.inferShapes()
                return try prepare(graph, options: options)
            }
        } catch let error as GraphError {
            throw EngineError(error)
        } catch let error as FormatError {
            throw EngineError(.invalidModel, error.description, cause: error)
        } catch let error as StorageError {
            throw EngineError(.invalidModel, error.description, cause: error)
        }
    }

    private func prepare(_ source: Graph, options: EngineOptions) throws -> NativeSession {
        if let violation = source.verify().first {
            throw EngineError(.invalidModel, "graph '\(source.name)': \(violation)")
        }
        var graph = source
        let signature = try graph.signature()
        try passes(options).run(on: &graph)
        try checkOperators(graph)
        let session = try NativeSession(
            graph: graph, signature: signature, operators: operators, options: options)
        session.warmUp()
        return session
    }

    func passes(_ options: EngineOptions) -> PassPipeline {
        let evaluator = ConstantEvaluator(operators: operators)
        return .standard(
            channelsLast: operators.channelsLast, disabled: options.disabledPasses,
            evaluate: evaluator.evaluate)
    }

    /// Names every node that has no implementation, at once.
    private func checkOperators(_ graph: Graph) throws(EngineError) {
        let missing = graph.nodes.filter { operators.operator(for: graph.schema(of: $0)) == nil }
        guard !missing.isEmpty else { return }
        let listed = missing.prefix(50).map { graph.describe($0) }.joined(separator: ", ")
        let rest = missing.count > 50 ? " and \(missing.count - 50) more" : ""
        throw EngineError(
            .unsupported, "graph '\(graph.name)': unsupported operators: \(listed)\(rest)")
    }
}

extension EngineError {
    /// A graph's error with the engine's code for it.
    init(_ error: GraphError) {
        let code: Code =
            switch error.code {
            case .unsupported: .unsupported
            case .limitExceeded: .limitExceeded
            default: .invalidModel
            }
        self.init(code, error.message, cause: error)
    }
}
