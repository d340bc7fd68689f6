// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
package import MartletEngine
internal import MartletLanguage
internal import MartletStorage
internal import MartletTensor

/// Turns a version's files into a `ServedModel`. Blocks: for loader threads only.
package struct ModelLoader: Sendable {
    package var engine: any Engine
    package var engineOptions: EngineOptions
    package var time: any TimeSource
    package var timekeeper: Timekeeper
    /// Encode texts.
    package var workers: WorkerPool
    /// Where ensembles find their models.
    package var table: ModelTableReference
    /// Threads of each stage around a model.
    package var stageThreads: Int
    /// Opens a decoder's folder or file.
    package var openLanguage: LanguageOpener
    /// As it was when the loader was made: models are loaded on other threads.
    package let tracing = TracingBackend.current

    package init(
        engine: any Engine, engineOptions: EngineOptions, time: any TimeSource,
        timekeeper: Timekeeper, workers: WorkerPool, table: ModelTableReference,
        stageThreads: Int = 2, openLanguage: @escaping LanguageOpener = ModelLoader.engineLanguage
    ) {
        self.engine = engine
        self.engineOptions = engineOptions
        self.time = time
        self.timekeeper = timekeeper
        self.workers = workers
        self.table = table
        self.stageThreads = stageThreads
        self.openLanguage = openLanguage
    }

    /// - Parameter configuration: as written; completed here with what the model says.
    /// - Throws: `ServingError` or the engine's error.
    package func load(
        _ version: ModelCandidate.Version, of candidate: ModelCandidate,
        configuration: ModelConfiguration
    ) throws -> ServedModel {
        if configuration.ensemble != nil {
            return try serveEnsemble(
                version: version, of: candidate, configuration: configuration)
        }
        var engineOptions = engineOptions
        engineOptions.engine = try candidate.engine ?? configuration.engineChoice()
        switch try resolve(version.location, configuration: configuration) {
        case .onnxFile(let path):
            try checkDigest(path, configuration)
            let session = try engine.load(.onnxFile(path: path), options: engineOptions)
            return try serve(
                session, version: version, of: candidate, configuration: configuration)
        case .decoderFile(let path):
            return try serve(
                try openLanguage(path, engineOptions), version: version, of: candidate,
                configuration: configuration)
        case .encoderFolder(let folder) where LanguageText.isDecoderFolder(folder):
            return try serve(
                try openLanguage(folder, engineOptions), version: version, of: candidate,
                configuration: configuration)
        case .encoderFolder(let folder):
            try checkDigests(folder, configuration)
            let encoder = try TextEncoder(
                folder: folder, engine: engine, options: engineOptions,
                includesHiddenState: false)
            return try serve(
                encoder, version: version, of: candidate, configuration: configuration)
        case .folder(let folder):
            throw configuration.invalid("'\(folder)' holds no model")
        }
    }

    /// Compares a file with the SHA-256 beside it (`<file>.sha256`), if there is one.
    private func checkDigest(_ path: String, _ configuration: ModelConfiguration) throws {
        let digestPath = path + ".sha256"
        guard FileSystem.isRegularFile(digestPath) else { return }
        let text = try FileSystem.readText(digestPath, limit: 4096)
        let word = text.split { $0.isWhitespace }.first.map(String.init) ?? ""
        guard let expected = Digest(hexadecimal: word) else {
            throw configuration.invalid("'\(digestPath)' does not begin with a SHA-256")
        }
        let file = try MappedFile(path: path)
        let actual = unsafe Digest.sha256(file.bytes)
        guard actual == expected else {
            throw configuration.invalid(
                "'\(path)' has the SHA-256 \(actual), expected \(expected)")
        }
    }

    /// Checks every file of a folder that has its SHA-256 beside it: weights may be in several.
    private func checkDigests(_ folder: String, _ configuration: ModelConfiguration) throws {
        for name in try FileSystem.list(folder, limit: 10_000) where name.hasSuffix(".sha256") {
            let path = PathName.join(folder, String(name.dropLast(".sha256".count)))
            guard FileSystem.isRegularFile(path) else {
                throw configuration.invalid("'\(path)' is missing, though its SHA-256 is there")
            }
            try checkDigest(path, configuration)
        }
    }

    /// What a version's folder holds: the configured file, model.onnx, or a Hugging Face folder.
    private func resolve(
        _ location: ModelCandidate.Location, configuration: ModelConfiguration
    ) throws(ServingError) -> ModelCandidate.Location {
        guard case .folder(let folder) = location else { return location }
        let written = configuration.defaultModelFilename
        let file = written.isEmpty ? "model.onnx" : written
        guard PathName.staysInside(file) else {
            throw configuration.invalid(
                "default_model_filename '\(file)' lies outside the version's folder")
        }
        let path = PathName.join(folder, file)
        if FileSystem.isRegularFile(path) { return .onnxFile(path) }
        if RepositoryScanner.isEncoderFolder(folder) { return .encoderFolder(folder) }
        let decoder = PathName.join(folder, "model.gguf")
        if FileSystem.isRegularFile(decoder) { return .decoderFile(decoder) }
        throw configuration.invalid("there is no '\(file)' in '\(folder)'")
    }

    private func serve(
        _ session: any EngineSession, version: ModelCandidate.Version, of candidate: ModelCandidate,
        configuration: ModelConfiguration
    ) throws -> ServedModel {
        var configuration = configuration
        let signature = try configuration.complete(with: session.signature)
        // Before the batcher, whose threads would go on without anybody to close them.
        let labels = try labels(configuration, folder: candidate.folder)
        let number = String(version.number)
        let statistics = StatisticsRecorder(
            name: candidate.name, version: number, tracing: tracing)
        statistics.setMemory(bytes: session.memoryBytes)
        let batcher = try Batcher(
            name: candidate.name, policy: BatchingPolicy(configuration),
            instances: configuration.instanceCount, time: time, timekeeper: timekeeper,
            observer: statistics
        ) {
            TensorBatchRunner(
                context: try session.makeContext(), isBatched: signature.isBatched, time: time)
        }
        let executor = TensorExecutor(
            model: candidate.name, version: number, signature: signature,
            labels: labels, batcher: batcher)
        do {
            return try pipelined(
                ServedModel(
                    name: candidate.name, version: number, configuration: configuration,
                    inputs: signature.inputs.map(signature.spec),
                    outputs: signature.outputs.compactMap { $0.map(signature.spec) },
                    statistics: statistics, executor: executor),
                of: candidate)
        } catch {
            executor.close {}
            throw error
        }
    }

    private func serve(
        _ encoder: TextEncoder, version: ModelCandidate.Version, of candidate: ModelCandidate,
        configuration: ModelConfiguration
    ) throws -> ServedModel {
        var configuration = configuration
        let (inputs, outputs) = TextExecutor.signature(encoder)
        let signature = ModelSignature(inputs: inputs, outputs: outputs)
        _ = try configuration.complete(with: signature)
        let number = String(version.number)
        let statistics = StatisticsRecorder(
            name: candidate.name, version: number, tracing: tracing)
        statistics.setMemory(bytes: encoder.session.memoryBytes)
        let batcher = try Batcher(
            name: candidate.name, policy: BatchingPolicy(configuration),
            instances: configuration.instanceCount, time: time, timekeeper: timekeeper,
            observer: statistics
        ) { try TextBatchRunner(encoder: encoder, time: time) }
        let executor = TextExecutor(
            model: candidate.name, version: number, encoder: encoder,
            rowsMax: configuration.maxBatchSize, batcher: batcher, workers: workers,
            tracing: tracing)
        let isCrossEncoder = encoder.kind != .embedder && encoder.outputSize == 1
        return ServedModel(
            name: candidate.name, version: number, configuration: configuration,
            inputs: inputs, outputs: outputs,
            capabilities: encoder.kind == .embedder
                ? .embedding : isCrossEncoder ? .reranking : [],
            statistics: statistics, executor: executor)
    }

    /// Each output's labels, one a line of its file.
    func labels(
        _ configuration: ModelConfiguration, folder: String
    ) throws -> [String: [String]] {
        var labels: [String: [String]] = [:]
        for output in configuration.outputs where !output.labelFilename.isEmpty {
            labels[output.name] = try LabelFile.read(output.labelFilename, in: folder)
        }
        return labels
    }
}

/// A file of labels, one a line.
enum LabelFile {
    static let byteCountMax = 16 << 20

    /// - Throws: `ServingError` for a name that leaves the folder, `StorageError` otherwise.
    static func read(_ name: String, in folder: String) throws -> [String] {
        guard PathName.staysInside(name) else {
            throw ServingError(
                .invalidArgument, "label file '\(name)' lies outside the model's folder")
        }
        return try read(PathName.join(folder, name))
    }

    static func read(_ path: String) throws -> [String] {
        let text = try FileSystem.readText(path, limit: LabelFile.byteCountMax)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasSuffix("\r") ? String(line.dropLast()) : String(line)
        }
        if lines.last == "" { lines.removeLast() }
        return lines
    }
}
