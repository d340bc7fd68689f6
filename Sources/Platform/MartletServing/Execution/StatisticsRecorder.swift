// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
internal import Glibc
internal import Metrics
internal import Synchronization

/// Counts what one model version did, in the protocol's terms, and hands the same to swift-metrics.
///
/// Cost: one short lock per batch, none per request.
package final class StatisticsRecorder: BatchObserver {
    private struct State {
        var statistics: ModelStatistics
        var batches: [Int: ModelStatistics.Batch] = [:]
    }

    private let state: Mutex<State>
    private let metrics: ModelMetrics
    private let spans: StageSpans

    package init(
        name: String, version: String, tracing: TracingBackend = TracingBackend.current
    ) {
        state = Mutex(State(statistics: ModelStatistics(name: name, version: version)))
        metrics = ModelMetrics(model: name, version: version)
        spans = StageSpans(model: name, version: version, tracing: tracing)
    }

    package var snapshot: ModelStatistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.batches = state.batches.values.sorted { $0.batchSize < $1.batchSize }
            return statistics
        }
    }

    /// Forgets what warm-up requests counted.
    package func reset() {
        state.withLock { state in
            let memory = state.statistics.memoryBytes
            state.statistics = ModelStatistics(
                name: state.statistics.name, version: state.statistics.version)
            state.statistics.memoryBytes = memory
            state.batches = [:]
        }
    }

    package func setMemory(bytes: Int) {
        state.withLock { $0.statistics.memoryBytes = UInt64(max(0, bytes)) }
    }

    package func ran(
        _ batch: [BatchItem], times: BatchTimes, from start: MonotonicInstant,
        to end: MonotonicInstant
    ) {
        var rows = 0
        state.withLock { state in
            var failed = 0
            for item in batch {
                let total = item.arrival.nanoseconds(to: end)
                guard case .success = item.result else {
                    state.statistics.fail.add(total)
                    failed += 1
                    continue
                }
                rows += item.rows
                state.statistics.success.add(total)
                state.statistics.queue.add(
                    item.arrival.nanoseconds(to: start))
                state.statistics.computeInput.add(times.input)
                state.statistics.computeInfer.add(times.infer)
                state.statistics.computeOutput.add(times.output)
            }
            guard failed < batch.count else { return }
            state.statistics.inferenceCount &+= UInt64(rows)
            state.statistics.executionCount &+= 1
            state.statistics.lastInferenceMilliseconds = wallMilliseconds()
            var entry = state.batches[rows] ?? ModelStatistics.Batch(batchSize: rows)
            entry.computeInput.add(times.input)
            entry.computeInfer.add(times.infer)
            entry.computeOutput.add(times.output)
            state.batches[rows] = entry
        }
        metrics.ran(batch, rows: rows, times: times, from: start, to: end)
        spans.record(batch, times: times, from: start, to: end)
    }

    /// A request that other models computed, as an ensemble's are.
    func answered(
        _ result: Result<InferenceResponse, ServingError>, rows: Int,
        from start: MonotonicInstant, to end: MonotonicInstant
    ) {
        let total = start.nanoseconds(to: end)
        state.withLock { state in
            guard case .success = result else {
                state.statistics.fail.add(total)
                return
            }
            state.statistics.success.add(total)
            state.statistics.computeInfer.add(total)
            state.statistics.inferenceCount &+= UInt64(rows)
            state.statistics.executionCount &+= 1
            state.statistics.lastInferenceMilliseconds = wallMilliseconds()
        }
    }

    /// Enters what is no batch.
    func count(_ change: (inout ModelStatistics) -> Void) {
        state.withLock { change(&$0.statistics) }
    }

    package func refused(_ item: BatchItem, reason: BatchRefusal, at now: MonotonicInstant) {
        if reason == .closed { return }
        let total = item.arrival.nanoseconds(to: now)
        state.withLock { $0.statistics.fail.add(total) }
        metrics.refused(reason)
    }
}

/// Milliseconds since the epoch.
package func wallMilliseconds() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(max(0, time.tv_sec)) &* 1000 &+ UInt64(max(0, time.tv_nsec)) / 1_000_000
}

/// One model version's meters. Without a metrics back end each costs an empty call.
struct ModelMetrics: Sendable {
    private let success: Counter
    private let failure: Counter
    private let cancelled: Counter
    private let rejected: Counter
    private let inferences: Counter
    private let executions: Counter
    private let request: Metrics.Timer
    private let queue: Metrics.Timer
    private let computeInput: Metrics.Timer
    private let computeInfer: Metrics.Timer
    private let computeOutput: Metrics.Timer
    private let batchSize: Recorder

    init(model: String, version: String) {
        let labels = [("model", model), ("version", version)]
        func outcome(_ name: String) -> Counter {
            Counter(label: "martlet_requests_total", dimensions: labels + [("outcome", name)])
        }
        func timer(_ stage: String) -> Metrics.Timer {
            Metrics.Timer(label: "martlet_\(stage)_duration", dimensions: labels)
        }
        success = outcome("success")
        failure = outcome("failure")
        cancelled = outcome("cancelled")
        rejected = outcome("rejected")
        inferences = Counter(label: "martlet_inferences_total", dimensions: labels)
        executions = Counter(label: "martlet_executions_total", dimensions: labels)
        request = timer("request")
        queue = timer("queue")
        computeInput = timer("compute_input")
        computeInfer = timer("compute_infer")
        computeOutput = timer("compute_output")
        batchSize = Recorder(label: "martlet_batch_size", dimensions: labels, aggregate: true)
    }

    func ran(
        _ batch: [BatchItem], rows: Int, times: BatchTimes, from start: MonotonicInstant,
        to end: MonotonicInstant
    ) {
        var failed = 0
        for item in batch {
            if case .success = item.result {
                request.recordNanoseconds(item.arrival.nanoseconds(to: end))
                queue.recordNanoseconds(item.arrival.nanoseconds(to: start))
            } else {
                failed += 1
            }
        }
        if failed > 0 { failure.increment(by: failed) }
        guard failed < batch.count else { return }
        success.increment(by: batch.count - failed)
        inferences.increment(by: rows)
        executions.increment()
        computeInput.recordNanoseconds(times.input)
        computeInfer.recordNanoseconds(times.infer)
        computeOutput.recordNanoseconds(times.output)
        batchSize.record(rows)
    }

    func refused(_ reason: BatchRefusal) {
        switch reason {
        case .cancelled: cancelled.increment()
        default: rejected.increment()
        }
    }
}
