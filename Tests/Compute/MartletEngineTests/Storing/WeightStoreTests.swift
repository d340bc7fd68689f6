// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletGraph
internal import MartletStorage
internal import MartletTensor
internal import MartletTesting
internal import Synchronization
internal import Testing

/// A file of weights, graphs built over it, and a cache folder.
private final class BuiltModel {
    let folder: TestFolder
    /// Weights are the level's.
    private let turn: KernelLevelTurn?
    let notes = StoredModel.Notes()
    var form = ""

    /// - Parameter takesTurn: false beside another model of the same test.
    init(factor: Float = 1, takesTurn: Bool = true) throws {
        turn = takesTurn ? KernelLevelTurn() : nil
        folder = try TestFolder()
        try write(factor: factor)
    }

    var path: String { PathName.join(folder.path, "weights.bin") }
    var cache: String { PathName.join(folder.path, "cache") }

    /// Two matrices of 64 × 64.
    func write(factor: Float, name: String = "weights.bin") throws {
        let values = (0..<8192).map { Float(($0 * 37) % 101 - 50) * 0.01 * factor }
        try folder.write(name, unsafe values.withUnsafeBytes { unsafe Array($0) })
    }

    /// y = (x · w) · v; both are named "w" where `sameNames`.
    func graph(_ file: MappedFile, sameNames: Bool) throws -> Graph {
        var graph = Graph(name: "built")
        let input = graph.addInput(
            name: "x",
            type: ValueType(
                elementType: .float32, dimensions: [Dimension(symbol: "rows"), Dimension(64)]))
        var value = input
        for index in 0..<2 {
            let region = try #require(file.region.slice(offset: index * 16384, count: 16384))
            guard let base = unsafe region.bytes.baseAddress else {
                throw TestFolderError("no bytes")
            }
            let storage = unsafe TensorStorage(
                borrowing: UnsafeMutableRawPointer(mutating: base), byteCount: 16384,
                owner: region.owner)
            let weight = graph.addConstant(
                name: sameNames || index == 0 ? "w" : "v",
                try Tensor(elementType: .float32, shape: [64, 64], storage: storage))
            let output = graph.addValue(name: "p\(index)")
            graph.addNode(.matMul, name: "n\(index)", inputs: [value, weight], outputs: [output])
            value = output
        }
        graph.outputs.append(value)
        return graph
    }

    func load(stored: Bool = true, sameNames: Bool = false) throws -> NativeSession {
        let file = try MappedFile(path: path)
        let notes = notes
        var options = EngineOptions(
            planCache: stored ? PlanCacheOptions(folder: cache) : nil,
            note: { line in notes.lines.withLock { $0.append(line) } })
        options.weightForm = form
        let session = try NativeEngine().load(
            graph(file, sameNames: sameNames), from: [file], options: options)
        return try #require(session as? NativeSession)
    }

    func takeNotes() -> [String] {
        notes.lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }

    static func answer(_ session: NativeSession) throws -> [Float] {
        let input = try Tensor((0..<192).map { Float($0 % 7) - 3 }, shape: [3, 64])
        var outputs: [Tensor] = []
        try session.makeContext().run([input], outputs: &outputs, cancellation: nil)
        return try outputs[0].elements(as: Float.self)
    }

    func stored() throws -> String {
        let names = try FileSystem.list(cache).filter { $0.hasSuffix(".weights") }
        #expect(names.count == 1)
        return PathName.join(cache, try #require(names.first))
    }

    func bytes() throws -> [UInt8] { try FileSystem.readAll(stored(), limit: 1 << 24) }

    func set(_ bytes: [UInt8]) throws {
        try folder.write("cache/" + PathName.baseName(stored()), bytes)
    }
}

@Suite("Stored weights of built graphs", .serialized) struct WeightStoreTests {
    @Test("answers are those of packed weights, which lie in the file", arguments: [false, true])
    func stored(sameNames: Bool) throws {
        let model = try BuiltModel()
        let right = try BuiltModel.answer(model.load(stored: false, sameNames: sameNames))
        for _ in 0..<3 {
            let session = try model.load(sameNames: sameNames)
            #expect(session.storedByteCount > 0)
            #expect(session.storedByteCount == session.packedByteCount)
            #expect(try BuiltModel.answer(session) == right)
        }
        #expect(model.takeNotes() == [])
    }

    @Test(
        "changed files and other forms are packed anew; what is packed otherwise has its own file")
    func changes() throws {
        let model = try BuiltModel()
        let before = try BuiltModel.answer(model.load())
        try model.write(factor: 2)
        #expect(try BuiltModel.answer(model.load()) != before)
        #expect(model.takeNotes().filter { $0.contains("has changed") }.count == 1)
        #expect(try model.load().storedByteCount > 0)
        #expect(model.takeNotes() == [])
        model.form = "other"
        _ = try model.load()
        #expect(try FileSystem.list(model.cache).count == 2)
        #expect(model.takeNotes() == [])
    }

    @Test("a file of other weights under this one's name is refused")
    func swapped() throws {
        let (model, other) = (try BuiltModel(), try BuiltModel(factor: 3, takesTurn: false))
        let right = try BuiltModel.answer(model.load())
        _ = try other.load()
        try model.set(other.bytes())
        #expect(try BuiltModel.answer(model.load()) == right)
        #expect(model.takeNotes().count == 1)
    }

    @Test("any changed byte and any shorter file is refused with a note")
    func damage() throws {
        let model = try BuiltModel()
        let right = try BuiltModel.answer(model.load())
        let whole = try model.bytes()
        let sections = StoredPlanBytes(whole).ranges
        let places =
            Array(0..<StoredPlanFile.headerByteCount)
            + sections.flatMap { stride(from: $0.lowerBound, to: $0.upperBound, by: 211) }
        for place in places {
            var bytes = whole
            bytes[place] ^= 0x10
            try model.set(bytes)
            #expect(try BuiltModel.answer(model.load()) == right)
            #expect(model.takeNotes().count == 1, "byte \(place)")
        }
        for count in [0, 1, 31, 32, 4095, whole.count / 2, whole.count - 1] {
            try model.set(Array(whole.prefix(count)))
            #expect(try BuiltModel.answer(model.load()) == right)
            #expect(model.takeNotes().count == 1, "\(count) bytes")
        }
        #expect(try model.load().storedByteCount > 0)
    }

    @Test("no file with sound checksums crashes the loader or a run")
    func fuzzTables() throws {
        let model = try BuiltModel()
        _ = try model.load()
        let original = StoredPlanBytes(try model.bytes())
        for section in [StoredPlanFile.Section.graph, .key] {
            let index = section.rawValue
            fuzz("stored weights, \(section)", seeds: [original.sections[index]]) { bytes in
                var changed = original
                changed.sections[index] = bytes
                try model.set(changed.sealed())
                _ = try BuiltModel.answer(model.load())
                if !model.takeNotes().isEmpty { throw StoredPlanError("refused") }
            }
        }
    }
}
