// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
package import MartletLanguage
internal import ServiceContextModule
internal import Synchronization

/// Answers generation requests with a language model: prompts are rendered and tokenized on worker
/// threads, tokens are made on the model's own thread.
package final class GenerationExecutor: ModelExecutor {
    let model: String
    package var language: LanguageText? { generator.text }
    let generator: TextGenerator
    let workers: WorkerPool
    private let metrics: GenerationMetrics
    private let statistics: StatisticsRecorder
    private let tracing: TracingBackend
    private let gate = ExecutorGate()
    private let time: any TimeSource
    let configuration: DecoderConfiguration?
    let names: Mutex<Set<String>>

    package init(
        model: String, version: String, language: sending LoadedDecoder, policy: SchedulerPolicy,
        workers: WorkerPool, statistics: StatisticsRecorder, time: any TimeSource,
        tracing: TracingBackend = .current
    ) throws(ServingError) {
        self.model = model
        self.workers = workers
        self.statistics = statistics
        self.tracing = tracing
        self.time = time
        configuration = language.configuration
        let metrics = GenerationMetrics(
            model: model, version: version, shape: language.runner.shape,
            adaptersMax: language.configuration == nil ? 0 : language.adaptersMax)
        self.metrics = metrics
        do throws(LanguageError) {
            generator = try TextGenerator(language, policy: policy, time: time) {
                metrics.stepped($0)
            }
        } catch {
            throw ServingError(failure: error)
        }
        names = Mutex(generator.adapters)
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
        gate.close { [generator] in
            generator.stop()
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
                try generator.start(prepared, cancellation)
            } catch {
                watch.fail(ServingError(failure: error))
            }
        }
        if !isTaken { watch.fail(overloaded) }
        return true
    }

    package func prepare(_ work: @escaping @Sendable () -> Void) -> Bool { workers.submit(work) }

    private var overloaded: ServingError {
        ServingError(
            .unavailable, "model '\(model)': too many requests wait", retryAfter: .seconds(1))
    }

    // MARK: Prompts

    private func prepare(
        _ request: GenerationRequest, _ watch: GenerationWatch
    ) throws -> PreparedGeneration {
        try generator.prepare(
            GenerationInput(
                prompt: request.prompt, options: request.options, format: request.format,
                addsSpecialTokens: request.addsSpecialTokens,
                truncatesPromptTo: request.truncatesPromptTo),
            wallSeconds: Int64(wallMilliseconds() / 1000)
        ) { watch.receive($0) }
    }
}
