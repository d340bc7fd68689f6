// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a language model is to go on with.
public enum GenerationPrompt: Sendable {
    case text(String)
    case tokens([Int32])
    case chat(ChatPrompt)
}

/// A request as it was asked.
package struct GenerationInput: Sendable {
    package var prompt: GenerationPrompt
    package var options: GenerationOptions
    package var format: AnswerFormat
    /// Put the model's own beginning before a text.
    package var addsSpecialTokens: Bool
    /// Cut a prompt to its last so many tokens instead of refusing it.
    package var truncatesPromptTo: Int?

    package init(
        prompt: GenerationPrompt, options: GenerationOptions, format: AnswerFormat = .text,
        addsSpecialTokens: Bool = true, truncatesPromptTo: Int? = nil
    ) {
        self.prompt = prompt
        self.options = options
        self.format = format
        self.addsSpecialTokens = addsSpecialTokens
        self.truncatesPromptTo = truncatesPromptTo
    }
}
