// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletFormats
public import MartletGraph
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
            case .onnxFile(let path): return try load(path: path, options: options)
            case .graph(var graph):
                // Builders may leave types to us.
                try graph.inferShapes()
                return try prepare(graph, options: options, source)
            }
        } catch let error as GraphError {
            throw EngineError(error)
        } catch let error as FormatError {
            throw EngineError(.invalidModel, error.description, cause: error)
        } catch let error as StorageError {
            throw EngineError(.invalidModel, error.description, cause: error)
        }
    }

    private func load(path: String, options: EngineOptions) throws -> NativeSession {
        let importer = ONNXImporter(operators: operators.schemas)
        // A measured choice depends on more than a stored plan's key says.
        guard let cache = options.planCache, options.precision != .automatic else {
            return try prepare(
                importer.graph(path: path), options: options, .onnxFile(path: path))
        }
        let store = PlanStore(
            folder: StoreFolder(cache: cache), operators: operators, options: options)
        switch store.find(path) {
        case .session(let session): return session
        case .nothing: break
        case .refused(let reason): options.note?("compiled anew, stored plan refused: \(reason)")
        }
        guard let session = try compileAndKeep(path, importer, store) else {
            // Gone by now, so that its weights are not in memory twice: the file's pages, which
            // other processes share, take their place.
            if case .session(let session) = store.find(path) { return session }
            return try prepare(
                importer.graph(path: path), options: options, .onnxFile(path: path))
        }
        return session
    }

    /// - Returns: the session where its plan could not be stored; nil where it was.
    private func compileAndKeep(
        _ path: String, _ importer: ONNXImporter, _ store: PlanStore
    ) throws -> NativeSession? {
        let (graph, files) = try importer.graphAndFiles(path: path)
        let session = try prepare(graph, options: store.options, .onnxFile(path: path))
        do {
            let sources = files.compactMap { path, file in
                (file as? MappedFile).map { (path, $0) }
            }
            guard sources.count == files.count else { return session }
            try store.keep(session, sources: sources)
            return nil
        } catch {
            store.options.note?("the plan of '\(path)' is not stored: \(error)")
            return session
        }
    }

    /// Reads a model and runs the passes, telling of each that changed something.
    ///
    /// The names of passes are `passNames`; what is disabled in `options` is left out.
    public func compile(
        _ source: ModelSource, options: EngineOptions,
        observer: @escaping (_ pass: String, _ changes: Int, _ graph: Graph) -> Void
    ) throws -> Graph {
        do {
            var graph: Graph
            switch source {
            case .onnxFile(let path):
                graph = try ONNXImporter(operators: operators.schemas).graph(path: path)
            case .graph(let built):
                graph = built
                try graph.inferShapes()
            }
            observer("import", graph.nodes.reduce(0) { count, _ in count + 1 }, graph)
            try passes(options).run(on: &graph, observer: observer)
            try prepareBodies(of: &graph, options)
            if let report = try choosePrecisions(in: &graph, graph.signature(), options, source) {
                observer("choose-precisions", report.narrowCount, graph)
            }
            return graph
        } catch let error as GraphError {
            throw EngineError(error)
        } catch let error as FormatError {
            throw EngineError(.invalidModel, error.description, cause: error)
        } catch let error as StorageError {
            throw EngineError(.invalidModel, error.description, cause: error)
        }
    }

    /// The passes in their order; some run more than once.
    public var passNames: [String] { passes(EngineOptions()).passes.map(\.name) }

    /// - Parameter stored: weights that were packed before.
    func prepare(
        _ source: Graph, options: EngineOptions, _ origin: ModelSource,
        stored: StoredWeightFile? = nil
    ) throws -> NativeSession {
        if let violation = source.verify().first {
            throw EngineError(.invalidModel, "graph '\(source.name)': \(violation)")
        }
        var graph = source
        let signature = try graph.signature()
        try passes(options).run(on: &graph)
        try prepareBodies(of: &graph, options)
        try checkOperators(graph)
        let report = try choosePrecisions(in: &graph, signature, options, origin)
        letGoOfFiles(graph)
        let session = try NativeSession(
            graph: graph, signature: signature, operators: operators, options: options,
            weights: stored?.forms(in: graph) ?? [], precisions: report)
        try session.warmUp()
        return session
    }

    /// Lets the system drop what the passes have read of the model's files.
    private func letGoOfFiles(_ graph: Graph) {
        var seen: Set<ObjectIdentifier> = []
        for tensor in graph.constants.values {
            guard let file = tensor.storage.lender as? MappedFile,
                seen.insert(ObjectIdentifier(file)).inserted
            else { continue }
            file.advise(.dontNeed)
        }
    }

    /// Writes the precisions that were measured to be good enough into the graph, and notes them.
    private func choosePrecisions(
        in graph: inout Graph, _ signature: ModelSignature, _ options: EngineOptions,
        _ source: ModelSource
    ) throws -> PrecisionReport? {
        guard options.precision == .automatic else { return nil }
        let calibration = try options.calibrate?(source, signature) ?? PrecisionCalibration()
        let choice = PrecisionChooser(
            graph: graph, signature: signature, operators: operators, options: options,
            calibration: calibration
        ).choose()
        graph = choice.graph
        options.note?("'\(graph.name)': \(choice.report)")
        return choice.report
    }

    /// - Parameter foldedBytesMax: what constant folding may make, within the model's memory and a
    ///   quarter of the machine's.
    func passes(_ options: EngineOptions, foldedBytesMax: Int = 8 << 30) -> PassPipeline {
        let evaluator = ConstantEvaluator(operators: operators)
        let foldedBytesMax = Swift.min(
            foldedBytesMax, options.memoryBytesMax, NativeEngine.machineBytes / 4)
        return .standard(
            channelsLast: operators.channelsLast, disabled: options.disabledPasses,
            foldedBytesMax: foldedBytesMax, evaluate: evaluator.evaluate)
    }

    private static let machineBytes = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))

    /// Runs the passes on the graphs inside nodes, with what is now known of their inputs.
    private func prepareBodies(of graph: inout Graph, _ options: EngineOptions) throws {
        try graph.bindBodies()
        for node in Array(graph.nodes) {
            for body in graph.bodies(of: node) {
                var inner = body.graph
                try passes(options, foldedBytesMax: NativeEngine.bodyFoldedBytesMax)
                    .run(on: &inner)
                try prepareBodies(of: &inner, options)
                graph.attributes[Int(node.index)][body.name] = .graph(inner)
            }
        }
    }

    /// What constant folding may make in each body: there may be many of them.
    private static let bodyFoldedBytesMax = 16 << 20

    /// Names every node that has no implementation, at once.
    private func checkOperators(_ graph: Graph) throws(EngineError) {
        for node in graph.nodes {
            for body in graph.bodies(of: node) { try checkOperators(body.graph) }
        }
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
