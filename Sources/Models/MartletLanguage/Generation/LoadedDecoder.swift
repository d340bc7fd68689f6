// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTokenizers

/// A decoder that is ready to run, with what turns text into its tokens and back.
///
/// The runner belongs to the one thread that generates; the rest may be shared.
package struct LoadedDecoder {
    package var runner: any DecoderRunner
    package var text: LanguageText
    package var memoryBytes: Int
    /// Answers that are made at once.
    package var runningMax = SchedulerPolicy().runningMax
    /// What adapters are checked against; nil where none can be loaded.
    package var configuration: DecoderConfiguration?
    /// Adapters that may be loaded at a time.
    package var adaptersMax = 0
    /// Adapters that it begins with, by name.
    package var adapters: [(name: String, file: AdapterFile)] = []
    /// Guesses for it.
    package var draft: DraftModel?

    package init(runner: any DecoderRunner, text: LanguageText, memoryBytes: Int = 0) {
        self.runner = runner
        self.text = text
        self.memoryBytes = memoryBytes
    }

    /// Lets a smaller model of the same tokens guess for this one.
    /// - Throws: `LanguageError` where their tokens differ.
    package mutating func setDraft(_ other: LoadedDecoder) throws(LanguageError) {
        let (mine, theirs) = (text.tokenizer, other.text.tokenizer)
        for id in 0..<theirs.vocabularySize
        where theirs.content(of: id) != mine.content(of: id) {
            throw LanguageError(
                .invalidInput,
                "the draft model's token \(id) is '\(theirs.content(of: id) ?? "")', the model's "
                    + "'\(mine.content(of: id) ?? "")'")
        }
        draft = try DraftModel(other.runner, vocabularySize: runner.shape.vocabularySize)
        memoryBytes += other.memoryBytes
    }
}
