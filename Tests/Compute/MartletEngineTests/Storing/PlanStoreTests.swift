// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletEngine
internal import MartletStorage
internal import MartletTensor
internal import MartletTesting
internal import Synchronization
internal import Testing

/// A model's file, a cache folder, and what loading from it said.
final class StoredModel {
    let folder: TestFolder
    /// Plans are the level's, and answers of two levels differ in their last bits.
    private let turn = KernelLevelTurn()
    let notes = Notes()
    var byteCountMax = 1 << 30
    var precision = EnginePrecision.float32

    final class Notes: Sendable {
        let lines = Mutex<[String]>([])
    }

    init() throws {
        folder = try TestFolder()
        try write(factor: 1)
    }

    var path: String { PathName.join(folder.path, "model.onnx") }
    var cache: String { PathName.join(folder.path, "cache") }

    /// y = tanh(x · w + b) · v, w and v 64×64.
    func write(factor: Float, name: String = "model.onnx") throws {
        var model = ONNXModelWriter()
        model.addInput("x", .float32, [.varying("batch"), .fixed(64)])
        let weights = (0..<4096).map { Float(($0 * 37) % 101 - 50) * 0.01 * factor }
        model.addConstant("w", try Tensor(weights, shape: [64, 64]))
        model.addConstant("v", try Tensor(weights.reversed(), shape: [64, 64]))
        model.addConstant("b", try Tensor((0..<64).map { Float($0) * 0.01 }))
        model.addNode("MatMul", ["x", "w"], ["p"])
        model.addNode("Add", ["p", "b"], ["s"])
        model.addNode("Tanh", ["s"], ["t"])
        model.addNode("MatMul", ["t", "v"], ["y"])
        model.addOutput("y", .float32, [.varying("batch"), .fixed(64)])
        try folder.write(name, model.bytes)
    }

    func load(_ name: String = "model.onnx", stored: Bool = true) throws -> NativeSession {
        let notes = notes
        let session = try NativeEngine().load(
            .onnxFile(path: PathName.join(folder.path, name)),
            options: EngineOptions(
                precision: precision,
                planCache: stored
                    ? PlanCacheOptions(folder: cache, byteCountMax: byteCountMax) : nil,
                note: { line in notes.lines.withLock { $0.append(line) } }))
        return try #require(session as? NativeSession)
    }

    func takeNotes() -> [String] {
        notes.lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }

    static func answer(_ session: NativeSession) throws -> [Float] {
        let input = try Tensor((0..<128).map { Float($0 % 7) - 3 }, shape: [2, 64])
        var outputs: [Tensor] = []
        try session.makeContext().run([input], outputs: &outputs, cancellation: nil)
        return try outputs[0].elements(as: Float.self)
    }

    /// The stored plan's path; nil where there is none or several.
    func plan() -> String? {
        let names = ((try? FileSystem.list(cache)) ?? []).filter { $0.hasSuffix(".plan") }
        return names.count == 1 ? PathName.join(cache, names[0]) : nil
    }

    func planBytes() throws -> [UInt8] {
        try FileSystem.readAll(#require(plan()), limit: 1 << 24)
    }

    func setPlan(_ bytes: [UInt8]) throws {
        try folder.write("cache/" + PathName.baseName(#require(plan())), bytes)
    }
}

@Suite(.serialized) struct PlanStoreTests {
    @Test(
        "A stored plan answers as a compiled model does, from weights in the file",
        arguments: [EnginePrecision.float32, .bfloat16, .int8])
    func stored(precision: EnginePrecision) throws {
        let model = try StoredModel()
        model.precision = precision
        let plain = try StoredModel.answer(model.load(stored: false))
        // The first load writes the plan and goes on with what it wrote.
        #expect(model.plan() == nil)
        #expect(try StoredModel.answer(model.load()) == plain)
        #expect(model.plan() != nil)
        let second = try model.load()
        #expect(second.storedByteCount > 0)
        #expect(try StoredModel.answer(second) == plain)
        #expect(second.signature.inputs[0].dimensionNames == ["batch", nil])
        #expect(second.storedByteCount == second.packedByteCount)
        #expect(model.takeNotes() == [])
    }

    @Test("A measured choice of precisions depends on inputs that no key names: it is not stored")
    func automatic() throws {
        let model = try StoredModel()
        model.precision = .automatic
        #expect(try model.load().storedByteCount == 0)
        #expect(model.plan() == nil)
    }

    @Test("A stored plan keeps the graphs inside nodes, with what they capture")
    func bodies() throws {
        let model = try StoredModel()
        var more = ONNXModelWriter()
        more.addNode("Add", ["x", "w"], ["m"])
        more.addOutput("m", .float32, [.varying("n")])
        var less = ONNXModelWriter()
        less.addNode("Sub", ["x", "w"], ["l"])
        less.addOutput("l", .float32, [.varying("n")])
        var whole = ONNXModelWriter()
        whole.addInput("x", .float32, [.varying("n")])
        whole.addInput("c", .bool, [])
        whole.addConstant("w", try Tensor([10] as [Float]))
        whole.addNode(
            "If", ["c"], ["y"], bodies: [("then_branch", more), ("else_branch", less)])
        whole.addOutput("y", .float32, [.varying("n")])
        try model.folder.write("model.onnx", whole.bytes)
        for _ in 0..<2 {
            let session = try model.load()
            for (condition, expected) in [(true, [11, 12]), (false, [-9, -8])] as [(Bool, [Float])]
            {
                var outputs: [Tensor] = []
                try session.makeContext().run(
                    [
                        Tensor([1, 2] as [Float]),
                        Tensor(booleans: [condition], shape: Shape()),
                    ], outputs: &outputs, cancellation: nil)
                #expect(try outputs[0].elements(as: Float.self) == expected)
            }
        }
        #expect(model.plan() != nil)
        #expect(model.takeNotes() == [])
    }

    @Test("A changed model is compiled anew, one that was only copied is not")
    func changes() throws {
        let model = try StoredModel()
        let before = try StoredModel.answer(model.load())
        try model.write(factor: 2)
        let after = try StoredModel.answer(model.load())
        #expect(after != before)
        #expect(try StoredModel.answer(model.load(stored: false)) == after)
        let notes = model.takeNotes()
        #expect(notes.count == 1)
        #expect(notes.first?.contains("has changed") == true)
        // The same bytes in a new file.
        try model.write(factor: 2)
        #expect(try model.load().storedByteCount > 0)
        #expect(model.takeNotes() == [])
    }

    @Test("Precisions and passes have plans of their own")
    func options() throws {
        let model = try StoredModel()
        let exact = try StoredModel.answer(model.load())
        model.precision = .int8
        let narrow = try StoredModel.answer(model.load())
        #expect(narrow != exact)
        model.precision = .float32
        #expect(try StoredModel.answer(model.load()) == exact)
        #expect(try FileSystem.list(model.cache).count == 2)
        #expect(model.takeNotes() == [])
    }

    @Test("Any single changed byte of the file, and any shorter file, is refused with a note")
    func damage() throws {
        let model = try StoredModel()
        let right = try StoredModel.answer(model.load())
        let whole = try model.planBytes()
        var places = Array(0..<StoredPlanFile.headerByteCount)
        places += stride(from: 4096, to: whole.count, by: 997)
        let sections = StoredPlanBytes(whole).ranges
        for place in places {
            var bytes = whole
            bytes[place] ^= 0x10
            try model.setPlan(bytes)
            let session = try model.load()
            let notes = model.takeNotes()
            // Between sections there is nothing that is read.
            let matters =
                place < StoredPlanFile.headerByteCount
                || sections.contains { $0.contains(place) }
            #expect(notes.count == (matters ? 1 : 0), "byte \(place)")
            #expect(try StoredModel.answer(session) == right)
        }
        for count in [0, 1, 31, 32, 4095, whole.count / 2, whole.count - 1] {
            try model.setPlan(Array(whole.prefix(count)))
            #expect(try StoredModel.answer(model.load()) == right)
            #expect(model.takeNotes().count == 1, "\(count) bytes")
        }
        // Each refusal wrote a sound plan again.
        #expect(try model.load().storedByteCount > 0)
    }

    @Test("The folder stays within its size; what was used least recently goes first")
    func eviction() throws {
        let model = try StoredModel()
        _ = try model.load()
        let size = try model.planBytes().count
        model.byteCountMax = size * 2 + size / 2
        for name in ["b.onnx", "c.onnx"] {
            try model.write(factor: 3, name: name)
            usleep(10_000)
            _ = try model.load(name)
            usleep(10_000)
            // Used again and again.
            _ = try model.load()
        }
        #expect(try FileSystem.list(model.cache).count == 2)
        #expect(model.takeNotes() == [])
        let kept = try FileSystem.list(model.cache)
        _ = try model.load()
        _ = try model.load("c.onnx")
        #expect(try FileSystem.list(model.cache) == kept)
        // A plan that is larger than the whole cache is not stored.
        model.byteCountMax = 1000
        model.precision = .bfloat16
        _ = try model.load()
        #expect(model.takeNotes().contains { $0.contains("not stored") })
    }

    @Test("A cache that cannot be written leaves the model as it is, with a note")
    func noFolder() throws {
        let model = try StoredModel()
        let right = try StoredModel.answer(model.load(stored: false))
        try model.folder.write("cache", "a file")
        #expect(try StoredModel.answer(model.load()) == right)
        #expect(model.takeNotes().count == 1)
    }
}

/// A stored plan's sections, to be changed and put together again.
struct StoredPlanBytes {
    var sections: [[UInt8]] = []
    private(set) var ranges: [Range<Int>] = []

    init(_ bytes: [UInt8]) {
        func number(_ offset: Int) -> Int {
            (0..<8).reduce(0) { $0 | Int(bytes[offset + $1]) << ($1 * 8) }
        }
        for index in StoredPlanFile.Section.allCases.indices {
            let start = number(32 + index * 24)
            let range = start..<start + number(40 + index * 24)
            ranges.append(range)
            sections.append(Array(bytes[range]))
        }
    }

    /// The file with these sections and checksums that agree with them.
    func sealed() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: StoredPlanFile.headerByteCount)
        var ranges: [Range<Int>] = []
        for section in sections {
            while bytes.count % StoredPlanFile.alignment != 0 { bytes.append(0) }
            ranges.append(bytes.count..<bytes.count + section.count)
            bytes += section
        }
        let header = unsafe bytes.withUnsafeBytes {
            unsafe StoredPlanFile.header($0, sections: ranges)
        }
        bytes.replaceSubrange(0..<header.count, with: header)
        return bytes
    }
}

@Suite("Damaged stored plans", .serialized) struct PlanStoreFuzzTests {
    @Test("No stored plan with sound checksums crashes the loader or a run")
    func fuzzGraph() throws {
        let model = try StoredModel()
        _ = try model.load()
        let whole = try model.planBytes()
        let original = StoredPlanBytes(whole)
        #expect(original.sealed() == whole)
        for section in [StoredPlanFile.Section.graph, .key] {
            let index = section.rawValue
            fuzz("stored plan, \(section)", seeds: [original.sections[index]]) { bytes in
                var changed = original
                changed.sections[index] = bytes
                try model.setPlan(changed.sealed())
                let session = try model.load()
                _ = try? StoredModel.answer(session)
                if !model.takeNotes().isEmpty { throw StoredPlanError("refused") }
            }
        }
    }
}
