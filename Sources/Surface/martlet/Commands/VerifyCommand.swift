// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import Glibc
internal import MartletEngine
internal import MartletONNXRuntime
internal import MartletStorage
internal import MartletTensor

/// `martlet verify FOLDER…`: models against the answers that lie beside them.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Run models on the test data beside them and compare the answers.",
        discussion: """
            A FOLDER holds model.onnx and test_data_set_0, test_data_set_1, … with input_0.pb, \
            output_0.pb and so on, as ONNX's model zoo and its tests are laid out. Each answer \
            must have the expected type and shape, and every number must lie within \
            atol + rtol · |expected|. One line a folder, then the totals.
            """)

    @Argument(help: "Folders with a model.onnx and its test data.")
    var folders: [String] = []

    @Option(help: "A file that names further folders, one a line.")
    var list: String?

    @Option(help: "Relative tolerance; a folder's file 'tolerance' (rtol atol) has precedence.")
    var rtol = 1e-3

    @Option(help: "Absolute tolerance.")
    var atol = 1e-7

    @Option(help: "Threads of a run; 0 is all.")
    var threads = 0

    @Option(
        help: "native, onnxruntime, or auto: native where it can.",
        transform: EngineChoice.init(option:))
    var engine: EngineChoice = .native

    @Option(help: "Keep compiled models: off, on, or a folder.")
    var planCache = "off"

    func run() async throws {
        let work = self
        let failures = try await OwnThread.run { try work.verifyAll() }
        if failures > 0 { throw ExitCode.failure }
    }

    private func verifyAll() throws -> Int {
        var all = folders
        if let list {
            let text = try FileSystem.readText(list, limit: 64 << 20)
            all += text.split(separator: "\n").map(String.init)
        }
        guard !all.isEmpty else { throw CommandFailure("no folder is named") }
        var failures = 0
        for folder in all {
            do {
                try verify(folder)
                print("ok \(folder)")
            } catch {
                failures += 1
                let reason = "\(error)".split(separator: "\n").joined(separator: " ")
                print("FAIL \(folder): \(reason)")
            }
            // Whoever reads along must know what was done when a model ends the process.
            fflush(nil)
        }
        print("\(all.count - failures) passed, \(failures) failed")
        return failures
    }

    private func verify(_ folder: String) throws {
        let tolerance = try ExampleData.tolerance(in: folder) ?? Tolerance(rtol: rtol, atol: atol)
        let options = EngineOptions(
            threads: threads > 0 ? threads : nil,
            planCache: try PlanCacheSetting.options(planCache), note: MeasureOptions.note)
        let session = try ChoosingEngine(engine).load(
            .onnxFile(path: PathName.join(folder, "model.onnx")), options: options)
        let context = try session.makeContext()
        let sets = try ExampleData.sets(in: folder)
        guard !sets.isEmpty else { throw CommandFailure("no test_data_set_* in \(folder)") }
        for set in sets {
            let inputs = try ExampleData.values(
                "input", in: set, session.signature.inputs.map(\.container))
            let expected = try ExampleData.values(
                "output", in: set, session.signature.outputs.map(\.container))
            // Later inputs are initialisers' defaults.
            guard inputs.count <= session.signature.inputs.count else {
                throw CommandFailure(
                    "\(inputs.count) inputs for a model that takes "
                        + "\(session.signature.inputs.count)")
            }
            var answers: [EngineValue] = []
            try context.run(values: inputs, outputs: &answers, cancellation: nil)
            guard answers.count == expected.count else {
                throw CommandFailure("\(answers.count) outputs, expected \(expected.count)")
            }
            for (index, (answer, wanted)) in zip(answers, expected).enumerated() {
                if let difference = tolerance.difference(answer, wanted) {
                    throw CommandFailure("output \(index): \(difference)")
                }
            }
        }
    }
}

extension Tolerance {
    /// What sets two values apart; nil where they agree.
    fileprivate func difference(_ answer: EngineValue, _ expected: EngineValue) -> String? {
        switch (answer, expected) {
        case (.tensor(let answer), .tensor(let expected)): return difference(answer, expected)
        case (.sequence(let answer), .sequence(let expected)):
            guard answer.count == expected.count else {
                return "a sequence of \(answer.count), expected \(expected.count)"
            }
            for (index, (answer, expected)) in zip(answer, expected).enumerated() {
                if let difference = difference(answer, expected) {
                    return "element \(index): \(difference)"
                }
            }
            return nil
        case (EngineValue.none, EngineValue.none): return nil
        default: return "another kind of value"
        }
    }
}
