// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
public import MartletFormats
internal import MartletTensor

/// Turns an ONNX model into a graph in one canonical form, whatever version it was written for.
///
/// Initialisers become constants that view the mapped file; nothing is copied but small tensors
/// that the file does not align and those in typed fields. Functions are expanded in place.
/// Everything that stands in the way is collected and thrown as one error.
public struct ONNXImporter: Sendable {
    /// The oldest version of ONNX's operators that is understood.
    public static let operatorSetVersionMin: Int64 = 1
    /// How deep functions may call functions.
    public static let functionDepthMax = 32
    /// How deep graphs may be nested in nodes.
    public static let bodyDepthMax = 8
    /// The most nodes a model may have once its functions are expanded.
    public static let nodesMax = 500_000

    private let operators: OperatorSet

    /// - Parameter operators: what can be run; other operators are refused by name.
    public init(operators: OperatorSet) {
        self.operators = operators
    }

    /// Maps a file and reads its graph.
    /// - Throws: `GraphError`; `StorageError` and `FormatError` for the file itself.
    public func graph(path: String) throws -> Graph {
        let file = try ONNXFile(path: path)
        return try graph(of: file.model, externalFiles: file.externalFiles)
    }

    /// Maps a file and reads its graph.
    /// - Returns: also the files that the model consists of, by the paths that led to them, the
    ///   model's own first.
    package func graphAndFiles(
        path: String
    ) throws -> (graph: Graph, files: [(path: String, file: AnyObject)]) {
        let file = try ONNXFile(path: path)
        let graph = try graph(of: file.model, externalFiles: file.externalFiles)
        return (graph, [(path, file.region.owner)] + file.externalFiles.files)
    }

    /// - Parameter externalFiles: where tensors outside the model file are found.
    /// - Throws: `GraphError` naming every operator, type and value that stands in the way.
    public func graph(
        of model: ONNXModel, externalFiles: ONNXExternalFiles
    ) throws(GraphError) -> Graph {
        var problems = ImportProblems()
        var expansion = FunctionExpansion(model: model, operators: operators)
        let nodes = expansion.expand(
            model.graph.nodes, versions: FunctionExpansion.versions(model.operatorSets),
            problems: &problems)
        var build = ONNXGraphBuild(
            source: model.graph, operators: operators, externalFiles: externalFiles,
            expansion: expansion, problems: problems)
        build.addValues()
        build.addNodes(nodes)
        build.addOutputs()
        try build.problems.throwIfAny(model: model.graph.name)
        guard build.graph.topologicalOrder() != nil else { throw build.cycleError() }
        var graph = build.graph.compacted()
        try graph.inferShapesTellingAll()
        try ResolveAlignment(operators: operators).run(on: &graph)
        try graph.bindBodies()
        return graph
    }
}

/// What stands in the way of an import, gathered so that all of it is told at once.
struct ImportProblems {
    /// More problems than this are only counted.
    static let listedMax = 50

    private var messages: [String] = []
    private var seen: Set<String> = []
    private var code = GraphError.Code.unsupported

    var count: Int { messages.count }

    mutating func add(_ code: GraphError.Code, _ message: String) {
        guard seen.insert(message).inserted else { return }
        if code != .unsupported { self.code = code }
        messages.append(message)
    }

    func throwIfAny(model: String) throws(GraphError) {
        guard let first = messages.first else { return }
        if messages.count == 1 { throw GraphError(code, "model '\(model)': \(first)") }
        var text = "model '\(model)': \(messages.count) problems"
        for message in messages.prefix(ImportProblems.listedMax) { text += "\n- \(message)" }
        let rest = messages.count - ImportProblems.listedMax
        if rest > 0 { text += "\n- and \(rest) more" }
        throw GraphError(code, text)
    }
}
