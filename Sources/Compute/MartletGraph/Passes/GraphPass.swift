// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A rewriting of a graph that keeps what its outputs are.
///
/// A pass finds a sound graph (`verify()` is empty) in topological order with inferred types, and
/// may leave dead nodes, unread values and new nodes at the end: the pipeline drops, compacts and
/// infers after it.
public protocol GraphPass: Sendable {
    /// A verb phrase, the name by which the pass is switched off.
    static var name: String { get }

    /// - Returns: how often the pass did something.
    func run(on graph: inout Graph) throws(GraphError) -> Int
}

extension GraphPass {
    public var name: String { Self.name }
}

/// Passes in order, each with a switch.
public struct PassPipeline: Sendable {
    /// Called after each pass that changed something: its name, its changes, and the graph.
    public typealias Observer = (_ pass: String, _ changes: Int, _ graph: Graph) -> Void

    public var passes: [any GraphPass]
    public var disabled: Set<String>
    /// Whether every pass's result is checked; a violation is an error that names the pass.
    public var verifies: Bool

    public init(
        _ passes: [any GraphPass], disabled: Set<String> = [], verifies: Bool = false
    ) {
        self.passes = passes
        self.disabled = disabled
        self.verifies = verifies
    }

    /// - Throws: `GraphError` for a disabled name that no pass has, and from the passes.
    public func run(on graph: inout Graph, observer: Observer? = nil) throws(GraphError) {
        let known = Set(passes.map(\.name))
        if let unknown = disabled.sorted().first(where: { !known.contains($0) }) {
            throw GraphError(
                .unsupported,
                "no pass is called '\(unknown)'; there are \(known.sorted().joined(separator: ", "))"
            )
        }
        try graph.inferShapes()
        for pass in passes where !disabled.contains(pass.name) {
            let changes = try pass.run(on: &graph)
            guard changes > 0 else { continue }
            _ = try DropDeadNodes().run(on: &graph)
            graph = graph.compacted()
            do {
                try graph.inferShapes()
            } catch {
                throw GraphError(error.code, "pass '\(pass.name)' left \(error.message)")
            }
            if verifies, let violation = graph.verify().first {
                throw GraphError(.invalidModel, "pass '\(pass.name)' left \(violation)")
            }
            if verifies {
                for node in graph.nodes {
                    guard let violation = graph.fusedFormViolation(at: node) else { continue }
                    throw GraphError(.invalidModel, "pass '\(pass.name)' left \(violation)")
                }
            }
            observer?(pass.name, changes, graph)
        }
    }
}
