// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import Synchronization

/// Passes a request's events on, and counts and traces what they say.
final class GenerationWatch: Sendable {
    private struct State {
        var lastToken: MonotonicInstant?
        var reason: FinishReason?
        var isOver = false
    }

    private let request: GenerationRequest
    private let model: String
    private let metrics: GenerationMetrics
    private let statistics: StatisticsRecorder
    private let tracing: TracingBackend
    private let time: any TimeSource
    private let arrived: MonotonicInstant
    private let receiver: GenerationReceiver
    private let onEnd: @Sendable () -> Void
    private let state = Mutex(State())

    init(
        _ request: GenerationRequest, model: String, metrics: GenerationMetrics,
        statistics: StatisticsRecorder, tracing: TracingBackend, time: any TimeSource,
        receive: @escaping GenerationReceiver, onEnd: @escaping @Sendable () -> Void
    ) {
        self.request = request
        self.model = model
        self.metrics = metrics
        self.statistics = statistics
        self.tracing = tracing
        self.time = time
        arrived = time.now()
        receiver = receive
        self.onEnd = onEnd
    }

    func receive(_ event: GenerationEvent) {
        switch event {
        case .delta(let delta):
            let now = time.now()
            let last = state.withLock { state -> MonotonicInstant? in
                defer { state.lastToken = now }
                return state.lastToken
            }
            if let last, !delta.tokens.isEmpty {
                metrics.token(nanoseconds: last.nanoseconds(to: now) / Int64(delta.tokens.count))
            } else if last == nil {
                metrics.firstToken(nanoseconds: arrived.nanoseconds(to: now))
            }
        case .finished(_, let reason, _): state.withLock { $0.reason = reason }
        case .failed(let error): return fail(ServingError(failure: error))
        case .ended(let usage): return end(usage, event)
        default: break
        }
        receiver(.success(event))
    }

    private func end(_ usage: GenerationUsage, _ event: GenerationEvent) {
        let reason = state.withLock { state -> FinishReason? in
            state.isOver = true
            return state.reason
        }
        metrics.ended(
            usage, reason, samples: request.options.samples, arrived: arrived, now: time.now())
        statistics.generated(usage, arrived: arrived, now: time.now())
        tracing.recordGeneration(usage, model: model, reason: reason, context: request.context)
        receiver(.success(event))
        onEnd()
    }

    func fail(_ error: ServingError) {
        let isFirst = state.withLock { state -> Bool in
            defer { state.isOver = true }
            return !state.isOver
        }
        guard isFirst else { return }
        metrics.failed(error)
        statistics.generationFailed(nanoseconds: arrived.nanoseconds(to: time.now()))
        let named =
            error.message.contains("'\(model)'")
            ? error
            : ServingError(
                error.code, "model '\(model)': \(error.message)", retryAfter: error.retryAfter,
                cause: error.cause)
        receiver(.failure(named))
        onEnd()
    }
}
