// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
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
        switch source {
        case .onnxFile(let path):
            throw EngineError(.unsupported, "cannot read \(path)")
        case .graph(let graph):
            return try prepare(graph, options: options)
        }
    }

    private func prepare(_ source: Graph, options: EngineOptions) throws -> NativeSession {
        let signature = try source.signature()
        return try NativeSession(
            graph: source, signature: signature, operators: operators, options: options)
    }
}
