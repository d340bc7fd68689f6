// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletLanguage
public import ServiceContextModule

/// A text to be continued by a language model.
public struct GenerationRequest: Sendable {
    public typealias Prompt = GenerationPrompt

    public var model: String
    public var prompt: Prompt
    public var options: GenerationOptions
    /// What the answer must look like.
    public var format: AnswerFormat
    /// Put the model's own beginning before a text.
    public var addsSpecialTokens = true
    /// Cut a prompt to its last so many tokens instead of refusing it.
    public var truncatesPromptTo: Int?
    public var context: ServiceContext

    public init(
        model: String, prompt: Prompt, options: GenerationOptions = GenerationOptions(),
        format: AnswerFormat = .text, context: ServiceContext = .topLevel
    ) {
        self.model = model
        self.prompt = prompt
        self.options = options
        self.format = format
        self.context = context
    }
}

/// What hears of a request: its events in order; a failure is the last.
public typealias GenerationReceiver =
    @Sendable (Result<GenerationEvent, ServingError>) -> Void
