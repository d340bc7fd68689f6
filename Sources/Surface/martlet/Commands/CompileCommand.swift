// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import MartletEngine
internal import MartletGraph

/// `martlet compile MODEL`: what the passes make of a model.
struct CompileCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compile",
        abstract: "Run the graph passes on a model and show what each changes.",
        discussion: """
            Without options it tells which passes changed how much. A graph is printed a line for \
            each value and node, in an order that can be compared.

              martlet compile model.onnx
              martlet compile model.onnx --print-after import --print-after fold-constants
              martlet compile model.onnx --disable-pass recover-gelu --print-after all
              martlet compile model.onnx --plan-cache on      # ready for `serve --plan-cache on`
            """)

    @Argument(help: "An ONNX file, a Hugging Face folder, or a model's folder.")
    var model: String

    @Option(help: "Print the graph after this pass ('import', 'all'); may be repeated.")
    var printAfter: [String] = []

    @Option(help: "Leave this pass out; may be repeated.")
    var disablePass: [String] = []

    @Option(help: "Keep the compiled model: off, on, or a folder.")
    var planCache = "off"

    @Option(
        help: "f32, bf16, int8 or auto: how products with weights are computed.",
        transform: EnginePrecision.init(option:))
    var precision: EnginePrecision = .float32

    @Option(
        help: "For --precision auto: inputs to measure with (NAME.npy or test_data_set_N inside).")
    var calibrate: String?

    func run() async throws {
        let work = self
        try await OwnThread.run { try work.compile() }
    }

    private func compile() throws {
        let engine = NativeEngine()
        let names = engine.passNames
        let known = Set(names + ["import", "choose-precisions", "all"])
        if let unknown = printAfter.first(where: { !known.contains($0) }) {
            throw CommandFailure(
                "no pass is called '\(unknown)'; there are import, choose-precisions, all, "
                    + Set(names).sorted().joined(separator: ", "))
        }
        let wanted = Set(printAfter)
        let options = Calibration.options(
            EngineOptions(disabledPasses: Set(disablePass), precision: precision),
            given: calibrate, model: model)
        let graph = try engine.compile(ModelOpener.source(model), options: options) {
            pass, changes, graph in
            let count = graph.nodes.reduce(0) { count, _ in count + 1 }
            print("\(pass): \(changes) \(pass == "import" ? "nodes" : "changes, \(count) nodes")")
            if wanted.contains(pass) || wanted.contains("all") { print(graph.dump()) }
        }
        if let cache = try PlanCacheSetting.options(planCache) {
            _ = try engine.load(
                ModelOpener.source(model),
                options: EngineOptions(
                    disabledPasses: Set(disablePass), precision: precision, planCache: cache,
                    note: MeasureOptions.note))
            print("kept in \(cache.folder)")
        }
        for violation in graph.violations(of: .optimised) { print("NOT LEGAL \(violation)") }
    }
}
