// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A decoder that is ready to run, with what turns text into its tokens and back.
///
/// The runner belongs to the one thread that generates; the rest may be shared.
package struct LanguageModel {
    package var runner: any DecoderRunner
    package var text: LanguageText
    package var memoryBytes: Int

    package init(runner: any DecoderRunner, text: LanguageText, memoryBytes: Int = 0) {
        self.runner = runner
        self.text = text
        self.memoryBytes = memoryBytes
    }
}
