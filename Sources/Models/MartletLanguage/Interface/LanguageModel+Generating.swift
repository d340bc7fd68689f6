// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

extension LanguageModel {
    /// What an answer is made with where a request says nothing: the sampling of the model's
    /// makers, no limit but the context.
    public var defaultOptions: GenerationOptions {
        var options = GenerationOptions()
        options.sampling = text.sampling
        return options
    }

    /// Generates text. It begins at once; the loop over the result tells what comes, and every
    /// failure.
    ///
    ///     var options = model.defaultOptions
    ///     options.tokensMax = 200
    ///     options.sampling.temperature = 0.7
    ///     options.sampling.seed = 1
    ///     for try await piece in model.generate(.text("Once upon a time"), options: options) {
    ///         print(piece.text, terminator: "")
    ///         if let usage = piece.usage { print("\n\(usage.completionTokens) tokens") }
    ///     }
    ///
    /// The same seed gives the same text, whatever else is generated meanwhile. Cancelling the task
    /// that reads, or dropping the result, ends the request before its next step.
    /// - Parameters:
    ///   - options: nil for `defaultOptions`.
    ///   - format: what the answer must look like: only tokens that fit are drawn. One that is new
    ///     takes up to a tenth of a second to compile; the last 32 are kept.
    ///   - addsSpecialTokens: put the model's own beginning before a plain text.
    ///   - truncatesPromptTo: cut a prompt to its last so many tokens instead of refusing it.
    /// - Returns: pieces of text; the loop throws `LanguageError`: `.contextExceeded` names both
    ///   lengths, `.invalidInput` the option, `.overloaded` is over with time.
    public func generate(
        _ prompt: GenerationPrompt, options: GenerationOptions? = nil, format: AnswerFormat = .text,
        addsSpecialTokens: Bool = true, truncatesPromptTo: Int? = nil
    ) -> GeneratedText {
        let cancellation = Cancellation()
        let mailbox = PieceMailbox()
        submit(
            GenerationInput(
                prompt: prompt, options: options ?? defaultOptions, format: format,
                addsSpecialTokens: addsSpecialTokens, truncatesPromptTo: truncatesPromptTo),
            cancellation, mailbox)
        return GeneratedText(mailbox, cancellation)
    }

    /// As `generate`, once the whole answer is there.
    public func answer(
        _ prompt: GenerationPrompt, options: GenerationOptions? = nil, format: AnswerFormat = .text,
        addsSpecialTokens: Bool = true, truncatesPromptTo: Int? = nil
    ) async throws(LanguageError) -> GeneratedAnswer {
        try await generate(
            prompt, options: options, format: format, addsSpecialTokens: addsSpecialTokens,
            truncatesPromptTo: truncatesPromptTo
        ).collect()
    }
}

/// All that was generated to one prompt.
public struct GeneratedAnswer: Sendable {
    public struct Sample: Sendable {
        public var text = ""
        public var tokens: [Int32] = []
        /// One for each token, when asked for.
        public var scores: [ScoredToken] = []
        public var finishReason = FinishReason.stop
        /// The stop text that ended it.
        public var stop: String?
    }

    /// As many as `GenerationOptions.samples`.
    public var samples: [Sample] = []
    public var promptScores: [ScoredToken] = []
    public var usage = GenerationUsage()

    /// The first sample's.
    public var text: String { samples.first?.text ?? "" }
    public var finishReason: FinishReason { samples.first?.finishReason ?? .stop }
}
