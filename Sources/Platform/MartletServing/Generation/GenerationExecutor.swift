// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
package import MartletLanguage
internal import MartletTokenizers
internal import ServiceContextModule
internal import Synchronization

/// Answers generation requests with a language model: prompts are rendered and tokenized on worker
/// threads, tokens are made on the model's own thread.
package final class GenerationExecutor: ModelExecutor {
    let model: String
    package let language: LanguageText?
    private let text: LanguageText
    let thread: GenerationThread
    let workers: WorkerPool
    private let metrics: GenerationMetrics
    private let statistics: StatisticsRecorder
    private let tracing: TracingBackend
    private let gate = ExecutorGate()
    private let time: any TimeSource
    private let formats: AnswerFormatCache
    let configuration: DecoderConfiguration?
    let names = Mutex<Set<String>>([])

    package init(
        model: String, version: String, language: sending LanguageModel, policy: SchedulerPolicy,
        workers: WorkerPool, statistics: StatisticsRecorder, time: any TimeSource,
        tracing: TracingBackend = .current
    ) throws(ServingError) {
        self.model = model
        self.workers = workers
        self.statistics = statistics
        self.tracing = tracing
        self.time = time
        text = language.text
        self.language = language.text
        formats = AnswerFormatCache(language.text)
        configuration = language.configuration
        let adapters = language.adapters
        let metrics = GenerationMetrics(model: model, version: version)
        self.metrics = metrics
        let core = GenerationCore(
            runner: language.runner, tokenizer: language.text.tokenizer,
            endTokens: language.text.endTokens, policy: policy, draftModel: language.draft)
        thread = try GenerationThread(
            model: model, core: core, time: time, waitingMax: policy.waitingMax
        ) { metrics.stepped($0) }
        for adapter in adapters {
            names.withLock { _ = $0.insert(adapter.name) }
            _ = thread.perform { [self] core in
                do throws(LanguageError) {
                    try core.loadAdapter(adapter.name, adapter.file)
                } catch {
                    names.withLock { _ = $0.remove(adapter.name) }
                }
            }
        }
    }

    package func submit(
        _ request: InferenceRequest, cancellation: Cancellation,
        completion: @escaping ModelHost.InferenceCompletion
    ) -> Bool {
        completion(
            .failure(
                ServingError(
                    .unsupported, "model '\(request.model)' generates text: it has no tensors")))
        return true
    }

    package func close(onDrained: @escaping @Sendable () -> Void) {
        gate.close { [thread] in
            thread.stop()
            onDrained()
        }
    }

    package func generate(
        _ request: GenerationRequest, cancellation: Cancellation,
        receive: @escaping GenerationReceiver
    ) -> Bool {
        guard gate.enter() else { return false }
        let watch = GenerationWatch(
            request, model: model, metrics: metrics, statistics: statistics, tracing: tracing,
            time: time, receive: receive
        ) { [gate] in gate.leave() }
        let isTaken = workers.submit { [self] in
            do {
                if cancellation.isCancelled {
                    throw ServingError(.cancelled, "model '\(model)': the request was cancelled")
                }
                let prepared = try tracing.withSpan("tokenize", request.context) {
                    try prepare(request, watch)
                }
                if let width = prepared.options.beamWidth {
                    let search = BeamRequest(
                        prepared, width: width, text: text, thread: thread,
                        cancellation: cancellation)
                    guard search.start() else { throw overloaded }
                } else {
                    guard let ticket = thread.submit(prepared) else { throw overloaded }
                    cancellation.onCancel { [thread] in thread.cancel(ticket) }
                }
            } catch {
                watch.fail(ServingError(failure: error))
            }
        }
        if !isTaken { watch.fail(overloaded) }
        return true
    }

    private var overloaded: ServingError {
        ServingError(
            .unavailable, "model '\(model)': too many requests wait", retryAfter: .seconds(1))
    }

    // MARK: Prompts

    private func prepare(
        _ request: GenerationRequest, _ watch: GenerationWatch
    ) throws -> PreparedGeneration {
        if let fault = request.options.fault {
            throw ServingError(.invalidArgument, "\(fault.field): \(fault.message)")
        }
        var tokens: [Int32]
        var continuesText = false
        switch request.prompt {
        case .tokens(let given):
            tokens = given
            continuesText = true
        case .text(let prompt):
            tokens = try text.tokens(prompt, addsSpecialTokens: request.addsSpecialTokens)
            continuesText = true
        case .chat(let chat):
            let prompt = try text.render(chat, wallSeconds: Int64(wallMilliseconds() / 1000))
            tokens = try text.tokens(prompt, addsSpecialTokens: false)
            continuesText = chat.continuesFinalMessage
        }
        if let most = request.truncatesPromptTo, tokens.count > most {
            tokens = Array(tokens.suffix(max(most, 1)))
        }
        let constraint = try formats.constraint(request.format)
        var options = request.options
        if options.beamWidth != nil, constraint != nil {
            throw ServingError(
                .invalidArgument, "use_beam_search: not supported together with a format")
        }
        var receive: @Sendable (GenerationEvent) -> Void = { watch.receive($0) }
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
}
