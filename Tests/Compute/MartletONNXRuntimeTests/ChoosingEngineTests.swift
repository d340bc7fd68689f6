// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletGraph
internal import MartletONNXRuntime
internal import MartletTensor
internal import MartletTesting
internal import Synchronization
internal import Testing

@Suite struct ChoosingEngineTests {
    private let native = TestEngine.echo()
    private let other = TestEngine.echo()
    private let reports = Reports()

    private final class Reports: Sendable {
        let lines = Mutex<[String]>([])
    }

    private func engine(_ choice: EngineChoice) -> ChoosingEngine {
        let (other, reports) = (other, reports)
        return ChoosingEngine(choice, native: native, makeOther: { other }) { model, reason in
            reports.lines.withLock { $0.append("\(model): \(reason)") }
        }
    }

    private let file = ModelSource.onnxFile(path: "m.onnx")

    @Test("Each choice loads with its engine, and a model's own choice wins")
    func choices() throws {
        _ = try engine(.native).load(file, options: EngineOptions())
        #expect(native.script.record.loads == 1 && other.script.record.loads == 0)
        _ = try engine(.onnxRuntime).load(file, options: EngineOptions())
        #expect(native.script.record.loads == 1 && other.script.record.loads == 1)
        _ = try engine(.native).load(file, options: EngineOptions(engine: .onnxRuntime))
        #expect(native.script.record.loads == 1 && other.script.record.loads == 2)
        _ = try engine(.automatic).load(file, options: EngineOptions())
        #expect(native.script.record.loads == 2 && other.script.record.loads == 2)
        #expect(reports.lines.withLock { $0 } == [])
    }

    @Test("An unsupported model goes to the other engine, with the reason told")
    func fallback() throws {
        native.script.failLoads([EngineError(.unsupported, "no operator Foo")])
        _ = try engine(.automatic).load(file, options: EngineOptions())
        #expect(other.script.record.loads == 1)
        #expect(reports.lines.withLock { $0 } == ["m.onnx: no operator Foo"])
    }

    @Test("Invalid models, graphs and models that neither takes fail, the last with both reasons")
    func failures() throws {
        native.script.failLoads([EngineError(.invalidModel, "broken")])
        let broken = #expect(throws: EngineError.self) {
            _ = try engine(.automatic).load(file, options: EngineOptions())
        }
        #expect(broken?.message == "broken")
        native.script.failLoads([EngineError(.unsupported, "no operator Foo")])
        let graph = #expect(throws: EngineError.self) {
            _ = try engine(.automatic).load(.graph(Graph(name: "g")), options: EngineOptions())
        }
        #expect(graph?.message == "no operator Foo")
        #expect(other.script.record.loads == 0)
        native.script.failLoads([EngineError(.unsupported, "no operator Foo")])
        other.script.failLoads([EngineError(.unsupported, "no Foo either")])
        let both = #expect(throws: EngineError.self) {
            _ = try engine(.automatic).load(file, options: EngineOptions())
        }
        #expect(both?.message.contains("no operator Foo") == true)
        #expect(both?.message.contains("no Foo either") == true)
        #expect(reports.lines.withLock { $0 } == [])
    }

    @Test(
        "A model of an operator that the native engine lacks runs on ONNX Runtime",
        .enabled(if: RuntimeFixture.isThere))
    func realFallback() throws {
        let folder = try TestFolder()
        try folder.write("model.onnx", ONNXModelWriter.identity(.float32).bytes)
        let bare = NativeEngine(operators: OperatorTable([]))
        let engine = ChoosingEngine(.automatic, native: bare)
        let session = try engine.load(
            .onnxFile(path: folder.path + "/model.onnx"), options: EngineOptions())
        #expect(session is ONNXRuntimeSession)
    }

    @Test("A trace that is no trace is refused")
    func badTrace() throws {
        for text in ["", "{}", "[1, 2", "[{\"cat\": \"Node\"}]x"] {
            let bytes = Array(text.utf8)
            #expect(throws: (any Error).self) {
                _ = try unsafe bytes.withUnsafeBytes { try unsafe RuntimeProfileReader.read($0) }
            }
        }
        let odd = Array(
            #"[3, {"cat":"Node","name":"a_kernel_time","dur":5,"args":{"op_name":"A"}}]"#.utf8)
        let profile = try unsafe odd.withUnsafeBytes { try unsafe RuntimeProfileReader.read($0) }
        #expect(profile.operators.map(\.operatorName) == ["A"])
        #expect(profile.operators[0].microseconds == 5)
    }
}
