// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import MartletLanguage

/// `martlet quantize FOLDER FILE`: a language model as one GGUF file of fewer bits.
struct QuantizeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize",
        abstract: "Write a language model's folder as a GGUF file, its weights rounded.",
        discussion: """
              martlet quantize path/to/model model.gguf --type Q4_K
            Types: \(BlockQuantizer.types.joined(separator: ", ")).
            """)

    @Argument(help: "A Hugging Face folder: Llama, Mistral, SmolLM, Qwen 2 or 3.")
    var folder: String

    @Argument(help: "The file to write.")
    var file: String

    @Option(help: "What matrices are rounded to.")
    var type = "Q8_0"

    func run() async throws {
        let command = self
        try await OwnThread.run {
            let export = try GGUFExport(folder: command.folder, type: command.type.uppercased())
            let summary = try export.write(to: command.file)
            let types = summary.types.sorted { $0.key < $1.key }
                .map { "\($0.value) \($0.key)" }.joined(separator: ", ")
            print("\(command.file): \(summary.byteCount) bytes, tensors: \(types)")
            if summary.unfitting > 0 {
                print(
                    "\(summary.unfitting) matrices have rows that are no whole blocks: they are "
                        + "kept in more bits than \(command.type.uppercased()) has")
            }
        }
    }
}
