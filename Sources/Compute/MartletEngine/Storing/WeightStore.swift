// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGraph
internal import MartletStorage
internal import MartletTensor

/// Keeps the packed weights of graphs that are built in memory, a model's in one file.
///
/// The graph is built anew each time: nothing but weights is taken from the file, each by the name
/// of its constant, its form and its size. Processes that run a model share the file's pages.
struct WeightStore {
    enum Found {
        case weights(StoredWeightFile)
        case nothing
        /// There is a file, and this is why it cannot be used.
        case refused(String)
    }

    let folder: StoreFolder
    let options: EngineOptions

    // MARK: Finding

    /// What is kept for a model of these files.
    func find(_ files: [MappedFile]) -> Found {
        guard let name = try? storedPath(of: files), FileSystem.isRegularFile(name) else {
            return .nothing
        }
        do {
            let stored = try open(name, files)
            // The time of the last use decides what goes first.
            try? FileSystem.touch(name)
            return .weights(stored)
        } catch {
            return .refused("\(name): \(error)")
        }
    }

    private func open(_ name: String, _ files: [MappedFile]) throws -> StoredWeightFile {
        let stored = try StoredPlanFile(path: name)
        let key = try StoredPlanKey(stored.region(.key))
        guard key.maker == maker else {
            throw StoredPlanError("made by another program, or for another processor or options")
        }
        guard try key.sources.map(\.path) == files.map({ try FileSystem.realPath($0.path) }) else {
            throw StoredPlanError("made from other files")
        }
        for (source, file) in zip(key.sources, files)
        where !StoredPlanKey.isSame(source, file) {
            throw StoredPlanError("'\(source.path)' has changed")
        }
        return try StoredWeightFile(stored.region(.graph), data: stored.region(.data))
    }

    // MARK: Keeping

    /// Writes what a session has packed.
    func keep(_ session: NativeSession, _ files: [MappedFile]) throws {
        let names = session.graph.constantNames()
        var data = StoredGraphWriter.Pieces()
        var entries = StoredBytes()
        let forms = session.root.weights.forms.filter { names[$0.value] != nil }
        entries.list(forms) { entries, form in
            entries.text(names[form.value] ?? "")
            entries.text(form.format)
            entries.int(data.add(form.storage, tensor: nil))
            entries.int(form.storage.byteCount)
        }
        var key = StoredBytes()
        try StoredPlanKey(
            maker: maker,
            sources: files.map { file in
                // Packing again costs less than reading everything for a digest.
                try StoredPlanKey.source(
                    path: FileSystem.realPath(file.path), file: file, digests: false)
            }
        ).write(to: &key)
        try folder.write(
            key: key.bytes, graph: entries.bytes, spares: StoredGraphWriter.Pieces(), data: data,
            to: storedPath(of: files))
    }

    private var maker: String {
        "weights \(options.weightForm)\n" + StoredPlanKey.maker(options)
    }

    private func storedPath(of files: [MappedFile]) throws(StorageError) -> String {
        var choice = ["weights", options.precision.rawValue, options.weightForm]
        for file in files { choice.append(try FileSystem.realPath(file.path)) }
        return folder.path(for: choice, suffix: ".weights")
    }
}

/// Packed weights in a file that has been checked.
struct StoredWeightFile {
    private struct Place: Hashable {
        var name: String
        var format: String
    }

    private var storages: [Place: TensorStorage] = [:]

    /// - Throws: `StoredPlanError` for what does not lie in the data.
    init(_ entries: ByteRegion, data: ByteRegion) throws(StoredPlanError) {
        var input = StoredReader(entries)
        for _ in 0..<(try input.count()) {
            let place = Place(name: try input.text(), format: try input.text())
            let offset = try input.int()
            let byteCount = try input.int()
            guard offset % TensorStorage.alignment == 0, byteCount > 0,
                let part = data.slice(offset: offset, count: byteCount),
                let base = unsafe part.bytes.baseAddress
            else { throw StoredPlanError("'\(place.name)' does not lie in the data") }
            let storage = unsafe TensorStorage(
                borrowing: UnsafeMutableRawPointer(mutating: base), byteCount: byteCount,
                owner: part.owner)
            guard storages.updateValue(storage, forKey: place) == nil else {
                throw StoredPlanError("'\(place.name)' is there twice")
            }
        }
        guard input.isAtEnd else { throw StoredPlanError("its table is too long") }
    }

    /// The forms that constants of this graph have in the file. Whoever asks for one checks that
    /// its size is the one expected.
    func forms(in graph: Graph) -> [PackedWeights.Form] {
        let values = graph.constantNames().reduce(into: [String: ValueID]()) {
            $0[$1.value] = $1.key
        }
        return storages.compactMap { place, storage in
            values[place.name].map {
                PackedWeights.Form(value: $0, format: place.format, storage: storage)
            }
        }
    }
}

extension Graph {
    /// Names for constants that stay the same from build to build; constants of one name, as a
    /// file's experts have, are numbered in their order.
    fileprivate func constantNames() -> [ValueID: String] {
        var seen: [String: Int] = [:]
        var names: [ValueID: String] = [:]
        for value in constants.keys.sorted() {
            let name = valueNames[Int(value.index)]
            let number = seen[name, default: 0]
            seen[name] = number + 1
            names[value] = number == 0 ? name : "\(name)#\(number)"
        }
        return names
    }
}
