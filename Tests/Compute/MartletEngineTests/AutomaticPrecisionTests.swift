// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase
internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import Synchronization
internal import Testing

@Suite(.serialized) struct AutomaticPrecisionTests {
    private static let isFast = martlet_gemm_narrow_is_fast(MARTLET_NARROW_BF16) != 0
    private let k = 128
    private let n = 64

    /// x · a - x · b, where b is a but for a ten-thousandth: what bf16 keeps of it is noise.
    private func breaking(_ graph: inout Graph, _ x: ValueID) throws -> ValueID {
        var generator = SeededRandom(seed: 71)
        let a = (0..<(k * n)).map { _ in Float.random(in: -1...1, using: &generator) }
        let b = a.map { $0 + Float.random(in: -1...1, using: &generator) * 1e-4 }
        let left = graph.apply(
            .matMul, x, graph.addConstant(name: "a", try Tensor(a, shape: [k, n])))
        let right = graph.apply(
            .matMul, x, graph.addConstant(name: "b", try Tensor(b, shape: [k, n])))
        return graph.apply(.sub, left, right, name: "difference")
    }

    private func input(_ graph: inout Graph) -> ValueID {
        graph.addInput(
            name: "x",
            type: ValueType(
                elementType: .float32, dimensions: [Dimension(symbol: "batch"), Dimension(k)]))
    }

    private func choice(_ graph: Graph, _ calibration: PrecisionCalibration? = nil) throws
        -> (report: PrecisionReport, notes: [String])
    {
        let notes = Mutex<[String]>([])
        var options = EngineOptions(precision: .automatic)
        options.note = { note in notes.withLock { $0.append(note) } }
        if let calibration { options.calibrate = { _, _ in calibration } }
        let session = try NativeEngineTests.load(graph, options)
        return (try #require(session.precisions), notes.withLock { $0 })
    }

    private func count(_ report: PrecisionReport, _ precision: EnginePrecision) -> Int {
        report.counts.first { $0.precision == precision }?.count ?? -1
    }

    @Test("a harmless product goes to bf16, and that is told", .enabled(if: isFast))
    func harmless() throws {
        let (graph, x) = try PrecisionTests.dense(k: k, n: n, seed: 7)
        let (report, notes) = try choice(graph)
        #expect(count(report, .bfloat16) == 1)
        #expect(try #require(report.error) > 0)
        #expect(try #require(report.error) <= report.errorMax)
        #expect(notes.count == 1 && notes[0].contains("bf16 1"))
        let auto = try PrecisionTests.run(graph, x, .automatic)
        #expect(auto.output == (try PrecisionTests.run(graph, x, .bfloat16)).output)
    }

    @Test("a model made to break under bf16 keeps f32", .enabled(if: isFast))
    func breaks() throws {
        var graph = Graph(name: "breaking")
        let x = input(&graph)
        graph.outputs = [try breaking(&graph, x)]
        try graph.inferShapes()
        let (report, _) = try choice(graph)
        #expect(count(report, .float32) == 2)
        #expect(report.narrowCount == 0)
    }

    @Test("one that does not break beside those goes to bf16 alone", .enabled(if: isFast))
    func mixed() throws {
        var graph = Graph(name: "mixed")
        let x = input(&graph)
        let difference = try breaking(&graph, x)
        var generator = SeededRandom(seed: 72)
        let w = graph.addConstant(
            name: "w",
            try Tensor(
                (0..<(k * n)).map { _ in Float.random(in: -1...1, using: &generator) },
                shape: [k, n]))
        graph.outputs = [difference, graph.apply(.matMul, x, w)]
        try graph.inferShapes()
        let (report, _) = try choice(graph)
        #expect(count(report, .float32) == 2)
        #expect(count(report, .bfloat16) == 1)
    }

    @Test("int8 only on given inputs, where the bound allows it", .enabled(if: isFast))
    func narrowest() throws {
        let (graph, x) = try PrecisionTests.dense(k: k, n: n, seed: 8)
        let loose = try choice(graph, PrecisionCalibration(inputs: [[x]], errorMax: 0.1)).report
        #expect(count(loose, .int8) == 1)
        let tight = try choice(graph, PrecisionCalibration(inputs: [[x]], errorMax: 0.005)).report
        #expect(count(tight, .int8) == 0)
        #expect(count(tight, .bfloat16) == 1)
        let forbidden = try choice(
            graph, PrecisionCalibration(inputs: [[x]], errorMax: 0.1, allowsInt8: false)
        ).report
        #expect(count(forbidden, .int8) == 0)
    }

    @Test("inputs that do not fit the model leave it in f32, with the reason")
    func unfit() throws {
        let (graph, _) = try PrecisionTests.dense(k: k, n: n, seed: 9)
        let wrong = try Tensor([Float](repeating: 1, count: 3), shape: [1, 3])
        let report = try choice(graph, PrecisionCalibration(inputs: [[wrong]])).report
        #expect(report.narrowCount == 0)
        #expect(report.error == nil)
        #expect(!report.basis.isEmpty)
    }
}
