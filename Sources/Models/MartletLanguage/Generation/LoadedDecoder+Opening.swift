// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletTokenizers

extension LoadedDecoder {
    /// Whether `path` is a decoder: a GGUF file, or a Hugging Face folder with one.
    package static func isLanguageModel(_ path: String) -> Bool { DecoderModel.isDecoder(path) }

    /// Opens a decoder with its tokenizer and template. Blocks while weights are packed: call it
    /// off the cooperative pool.
    /// - Throws: `LanguageError` or `EngineError`.
    package static func open(
        _ path: String, options: DecoderOptions = DecoderOptions()
    ) throws -> sending LoadedDecoder {
        let model = try DecoderModel(path: path, options: options)
        let runner = try model.load(options)
        let text =
            if let file = model.gguf {
                try LanguageText(file, path: path, contextLength: runner.shape.contextLength)
            } else {
                try LanguageText(folder: path, contextLength: runner.shape.contextLength)
            }
        guard text.tokenizer.vocabularySize <= runner.shape.vocabularySize else {
            throw LanguageError(
                .invalidFile,
                "'\(path)': the tokenizer has ids up to \(text.tokenizer.vocabularySize - 1), the "
                    + "model's vocabulary has \(runner.shape.vocabularySize)")
        }
        var language = LoadedDecoder(
            runner: runner, text: text, memoryBytes: runner.session.memoryBytes)
        if options.adaptersMax > 0 {
            language.configuration = runner.configuration
            language.adaptersMax = options.adaptersMax
        }
        return language
    }
}
