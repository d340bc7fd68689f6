// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import Logging
public import MartletBase
public import MartletEngine
public import MartletTensor
public import ServiceLifecycle
internal import Synchronization

/// How a `LocalModelHost` serves.
public struct ServingOptions: Sendable {
    /// Who decides what is loaded.
    public enum ControlMode: String, Sendable, CaseIterable {
        /// Everything found at start, nothing later.
        case none
        /// As the folders change.
        case poll
        /// By load and unload calls only.
        case explicit
    }

    /// Something to serve: a `.onnx` file, a Hugging Face folder, a model's folder in Triton's
    /// layout, or, without name and stages, a repository of any of these.
    public struct Entry: Sendable, Hashable {
        public var path: String
        /// Nil: as the path says.
        public var name: String?
        /// In place of the stages that the model's configuration names, unless empty.
        public var pipeline: PipelineConfiguration
        /// In place of the engine that the model's configuration names.
        public var engine: EngineChoice?

        public init(
            path: String, name: String? = nil,
            pipeline: PipelineConfiguration = PipelineConfiguration(),
            engine: EngineChoice? = nil
        ) {
            self.engine = engine
            self.path = path
            self.name = name
            self.pipeline = pipeline
        }
    }

    public var entries: [Entry]
    /// Further names that requests may call a model by: each with the name of its model.
    public var otherNames: [String: String] = [:]
    public var controlMode = ControlMode.none
    /// In explicit mode: what to load at start; "*" for everything.
    public var startupModels: [String] = []
    /// Ready only when every model is; otherwise as soon as requests are answered at all.
    public var isReadinessStrict = true
    public var loadThreads = 2
    /// Threads that encode texts and run the stages around models.
    public var encoderThreads = 2
    public var pollInterval: Duration = .seconds(2)
    /// How long a changed folder must stay as it is before it is loaded.
    public var quietPeriod: Duration = .milliseconds(500)
    /// How long `run` waits for requests in flight once it is told to stop.
    public var drainTimeout: Duration = .seconds(30)
    public var allowsSharedMemory = false
    /// Clients may load and unload low-rank adapters from this machine's folders.
    public var allowsAdapterUpdates = false
    public var engineOptions = EngineOptions()
    public var logger = Logger(label: "martlet.serving")

    public init(paths: [String]) {
        entries = paths.map { Entry(path: $0) }
    }
}

/// Serves models in this process: seam 2's own implementation.
public final class LocalModelHost: ModelHost, Service {
    public let sharedMemory: SharedMemoryRegistry
    let options: ServingOptions
    let scanner: RepositoryScanner
    let table: ModelTableReference
    let repository: ModelRepository
    let timekeeper: Timekeeper
    let phase = Mutex(Phase.idle)
    let admission = AdmissionSpans(.current)

    enum Phase { case idle, starting, started, draining }

    /// A host that has loaded nothing yet: `start` or `run` does.
    public convenience init(
        _ options: ServingOptions, engine: any Engine = NativeEngine(),
        time: any TimeSource = SystemTime()
    ) {
        self.init(options, engine: engine, time: time, openLanguage: ModelLoader.engineLanguage)
    }

    /// - Parameter openLanguage: opens decoders.
    package init(
        _ options: ServingOptions, engine: any Engine = NativeEngine(),
        time: any TimeSource = SystemTime(), openLanguage: @escaping LanguageOpener
    ) {
        self.options = options
        let timekeeper = Timekeeper(time: time)
        self.timekeeper = timekeeper
        let table = ModelTableReference(otherNames: options.otherNames)
        self.table = table
        sharedMemory = SharedMemoryRegistry(isAllowed: options.allowsSharedMemory)
        scanner = RepositoryScanner(options.entries)
        let loader = ModelLoader(
            engine: engine, engineOptions: options.engineOptions, time: time,
            timekeeper: timekeeper,
            workers: WorkerPool(
                name: "martlet-text", threads: options.encoderThreads, waitingMax: 1024),
            table: table, stageThreads: options.encoderThreads, openLanguage: openLanguage)
        repository = ModelRepository(
            table: table, loadThreads: options.loadThreads, logger: options.logger
        ) { version, candidate, configuration in
            try loader.load(version, of: candidate, configuration: configuration)
        } warm: { served, candidate in
            try ModelWarmer(time: time).warm(served, folder: candidate.folder)
        }
    }

    deinit {
        for entry in table.current.entries.values {
            for served in entry.versions { served.executor.close {} }
        }
        timekeeper.stop()
    }

    /// A host with every model under `paths` loaded.
    /// - Throws: `ServingError` naming each model that could not be loaded.
    public static func open(
        _ paths: [String], engine: any Engine = NativeEngine()
    ) async throws -> LocalModelHost {
        let host = LocalModelHost(ServingOptions(paths: paths), engine: engine)
        try await host.start()
        return host
    }

    /// Scans the paths and loads what the control mode asks for.
    /// - Throws: `ServingError` naming each model that could not be loaded; the others serve.
    public func start() async throws {
        phase.withLock { if $0 == .idle { $0 = .starting } }
        defer { phase.withLock { if $0 == .starting { $0 = .started } } }
        var candidates = try scanner.scan()
        if options.controlMode == .explicit, !options.startupModels.contains("*") {
            candidates = candidates.filter { options.startupModels.contains($0.name) }
        }
        let failures = await apply(candidates)
        guard failures.isEmpty else {
            throw ServingError(.invalidArgument, failures.joined(separator: "\n"))
        }
    }

    /// Applies candidates, ensembles after the models that they are made of.
    /// - Returns: why those failed that did.
    func apply(_ candidates: [ModelCandidate]) async -> [String] {
        var left = candidates.map { candidate in
            let configuration = try? ConfigurationReader.read(candidate).configuration
            return (candidate, Set(configuration?.ensemble?.steps.map(\.modelName) ?? []))
        }
        var failures: [String] = []
        while !left.isEmpty {
            let names = Set(left.map(\.0.name))
            var wave = left.filter { $0.1.isDisjoint(with: names) }
            // A circle: each will say what it misses.
            if wave.isEmpty { wave = left }
            let started = Set(wave.map(\.0.name))
            left.removeAll { started.contains($0.0.name) }
            failures += await applyTogether(wave.map(\.0))
        }
        return failures
    }

    private func applyTogether(_ candidates: [ModelCandidate]) async -> [String] {
        await withTaskGroup(of: String?.self) { group in
            for candidate in candidates {
                group.addTask { [repository] in
                    await withCheckedContinuation { continuation in
                        repository.apply(candidate) { result in
                            switch result {
                            case .success: continuation.resume(returning: nil)
                            case .failure(let error): continuation.resume(returning: error.message)
                            }
                        }
                    }
                }
            }
            return await group.reduce(into: []) { failures, failure in
                if let failure { failures.append(failure) }
            }
        }
    }
}
