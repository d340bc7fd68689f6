// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGraph
internal import MartletStorage
internal import MartletTensor

/// Where compiled models are kept between processes.
public struct PlanCacheOptions: Sendable, Hashable {
    /// A folder of its own; made when it is not there.
    public var folder: String
    /// The most bytes that the folder may hold; the least recently used plans go first.
    public var byteCountMax: Int

    public static let byteCountMaxDefault = 8 << 30

    public init(folder: String, byteCountMax: Int = PlanCacheOptions.byteCountMaxDefault) {
        self.folder = folder
        self.byteCountMax = byteCountMax
    }
}

/// Keeps optimised graphs and packed weights in files, a model a file.
///
/// Weights are mapped from there read-only, so that all processes that run a model share them.
/// Steps are not kept: planning takes less than reading them would save (Decisions/0006).
struct PlanStore {
    enum Found {
        case session(NativeSession)
        case nothing
        /// There is a file, and this is why it cannot be used.
        case refused(String)
    }

    let folder: StoreFolder
    let operators: OperatorTable
    let options: EngineOptions

    // MARK: Finding

    /// The stored form of a model.
    func find(_ path: String) -> Found {
        guard let name = try? storedPath(of: path), FileSystem.isRegularFile(name) else {
            return .nothing
        }
        do {
            let session = try open(name, model: path)
            // The time of the last use decides what goes first.
            try? FileSystem.touch(name)
            return .session(session)
        } catch {
            return .refused("\(name): \(error)")
        }
    }

    private func open(_ name: String, model path: String) throws -> NativeSession {
        let file = try StoredPlanFile(path: name)
        let key = try StoredPlanKey(file.region(.key))
        guard key.maker == StoredPlanKey.maker(options) else {
            throw StoredPlanError("made by another program, or for another processor or options")
        }
        guard try key.sources[0].path == FileSystem.realPath(path) else {
            throw StoredPlanError("made from another file")
        }
        var sources: [ByteRegion] = []
        for source in key.sources {
            let mapped = try MappedFile(path: source.path)
            guard StoredPlanKey.isSame(source, mapped) else {
                throw StoredPlanError("'\(source.path)' has changed")
            }
            sources.append(mapped.region)
        }
        var reader = StoredGraphReader(
            file.region(.graph), sources: sources, spares: file.region(.spares),
            data: file.region(.data), operators: operators.schemas)
        let signature = try reader.signature()
        let weights = try reader.weights()
        var graph = try reader.graph()
        guard reader.isAtEnd else { throw StoredPlanError("its graph is too long") }
        if let violation = graph.verify().first { throw StoredPlanError("\(violation)") }
        guard signature.inputs.count == graph.inputs.count,
            signature.outputs.count == graph.outputs.count
        else { throw StoredPlanError("its signature is not its graph's") }
        try graph.inferShapes()
        return try NativeSession(
            graph: graph, signature: signature, operators: operators, options: options,
            weights: weights)
    }

    // MARK: Keeping

    /// Writes a session's model.
    /// - Parameter sources: the model's files, with the paths that led to them, the model first.
    func keep(
        _ session: NativeSession, sources: [(path: String, file: MappedFile)]
    ) throws {
        guard let model = sources.first else { return }
        let name = try storedPath(of: model.path)
        var numbers: [String: Int] = [:]
        for (index, source) in sources.enumerated() { numbers[source.file.path] = index }
        let forms = session.root.weights.forms
        var writer = StoredGraphWriter(
            sources: numbers, packed: Set(forms.map(\.value)))
        writer.write(session.signature)
        writer.write(forms)
        writer.write(session.graph)
        var key = StoredBytes()
        try StoredPlanKey(
            maker: StoredPlanKey.maker(options),
            sources: sources.enumerated().map { index, source in
                StoredPlanKey.source(
                    path: try index == 0 ? FileSystem.realPath(source.path) : source.path,
                    file: source.file)
            }
        ).write(to: &key)
        try folder.write(
            key: key.bytes, graph: writer.output.bytes, spares: writer.spares, data: writer.data,
            to: name)
    }

    /// Where the plan of a model lies: one file for each model, precision and choice of passes.
    private func storedPath(of path: String) throws(StorageError) -> String {
        folder.path(
            for: [
                try FileSystem.realPath(path), options.precision.rawValue,
                options.disabledPasses.sorted().joined(separator: ","),
            ], suffix: ".plan")
    }
}
