// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
internal import MartletTokenizers

/// One decoder for many askers: renders and tokenizes prompts, compiles formats, and hands requests
/// to the thread that generates. When it goes, the thread ends with the last request.
package final class TextGenerator: Sendable {
    package let text: LanguageText
    /// The names of the adapters that were loaded.
    package let adapters: Set<String>
    /// Why an adapter was not, of the last that was not.
    package let adapterFailure: LanguageError?
    private let formats: AnswerFormatCache
    private let thread: GenerationThread
    private let sequenceTokensMax: Int

    /// Starts the thread.
    /// - Parameters:
    ///   - observer: hears the counts after each step.
    ///   - onEnd: called when the thread has ended and the decoder's memory is free.
    package init(
        _ decoder: sending LoadedDecoder, policy: SchedulerPolicy, time: any TimeSource,
        observer: @escaping @Sendable (GenerationLoad) -> Void = { _ in },
        onEnd: @escaping @Sendable () -> Void = {}
    ) throws(LanguageError) {
        text = decoder.text
        formats = AnswerFormatCache(decoder.text)
        let core = GenerationCore(
            runner: decoder.runner, tokenizer: decoder.text.tokenizer,
            endTokens: decoder.text.endTokens, policy: policy, draftModel: decoder.draft)
        sequenceTokensMax = core.scheduler.sequenceTokensMax
        var names: Set<String> = []
        var failure: LanguageError?
        for adapter in decoder.adapters {
            do throws(LanguageError) {
                try core.loadAdapter(adapter.name, adapter.file)
                names.insert(adapter.name)
            } catch {
                failure = error
            }
        }
        adapters = names
        adapterFailure = failure
        thread = try GenerationThread(
            core: core, time: time, waitingMax: policy.waitingMax, observer: observer, onEnd: onEnd
        )
    }

    /// Makes a prompt's tokens and its answer's constraint. Cost: linear in the prompt; a format
    /// that is new takes up to a tenth of a second. Call it off the cooperative pool.
    /// - Parameters:
    ///   - wallSeconds: the time that a chat template may tell, since the epoch.
    ///   - receive: hears the request's events, on the thread that generates.
    package func prepare(
        _ input: GenerationInput, wallSeconds: Int64,
        receive: @escaping @Sendable (GenerationEvent) -> Void
    ) throws(LanguageError) -> PreparedGeneration {
        var options = input.options
        if let fault = options.fault {
            throw LanguageError(.invalidInput, "\(fault.field): \(fault.message)")
        }
        var (tokens, continuesText) = try tokens(input, wallSeconds)
        if let most = input.truncatesPromptTo, tokens.count > most {
            tokens = Array(tokens.suffix(max(most, 1)))
        }
        let constraint = try formats.constraint(input.format)
        if options.beamWidth != nil, constraint != nil {
            throw LanguageError(
                .invalidInput, "use_beam_search: not supported together with a format")
        }
        var receive = receive
        if let count = options.bestOf, count > options.samples, options.beamWidth == nil {
            let best = BestAnswers(
                count: options.samples, keepsScores: options.topLogProbabilities != nil,
                receive: receive)
            receive = { best.receive($0) }
            options.samples = count
            options.topLogProbabilities = options.topLogProbabilities ?? 0
        }
        return PreparedGeneration(
            tokens: tokens, options: options, continuesText: continuesText,
            constraint: constraint, receive: receive)
    }

    private func tokens(
        _ input: GenerationInput, _ wallSeconds: Int64
    ) throws(LanguageError) -> (tokens: [Int32], continuesText: Bool) {
        switch input.prompt {
        case .tokens(let tokens): return (tokens, true)
        case .text(let prompt):
            return (
                try text.tokens(prompt, addsSpecialTokens: input.addsSpecialTokens), true
            )
        case .chat(let chat):
            let prompt = try text.render(chat, wallSeconds: wallSeconds)
            return (
                try text.tokens(prompt, addsSpecialTokens: false), chat.continuesFinalMessage
            )
        }
    }

    /// Puts a request in line; from here on its events tell what becomes of it.
    /// - Throws: `.overloaded` when too many wait, `.closed` after `stop`.
    package func start(
        _ prepared: PreparedGeneration, _ cancellation: Cancellation
    ) throws(LanguageError) {
        if let width = prepared.options.beamWidth {
            let search = BeamRequest(
                prepared, width: width, text: text, thread: thread,
                sequenceTokensMax: sequenceTokensMax, cancellation: cancellation)
            return try search.start()
        }
        let ticket = try thread.submit(prepared)
        cancellation.onCancel { [thread] in thread.cancel(ticket) }
    }

    /// It takes no more requests.
    package var isStopped: Bool { thread.isStopped }

    /// Requests that the next step takes in.
    package var waitingCount: Int { thread.waitingCount }

    /// Does something with the core between two steps.
    /// - Returns: false when the thread has ended; then nothing is done.
    package func perform(_ body: @escaping @Sendable (GenerationCore) -> Void) -> Bool {
        thread.perform(body)
    }

    /// Takes no more requests; the thread ends when none is left.
    package func stop() { thread.stop() }
}
