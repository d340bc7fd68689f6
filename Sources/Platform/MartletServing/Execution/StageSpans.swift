// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import ServiceContextModule
internal import Tracing

/// Opens the spans of a request's way through a batcher, afterwards and from measured instants, so
/// that the request's own path carries no span.
///
/// Whether a tracer is there is asked once per model version: without one, nothing is done.
struct StageSpans: Sendable {
    private let tracer: (any Tracer)?
    private let model: String
    private let version: String

    init(model: String, version: String, tracing: TracingBackend) {
        tracer = tracing.tracer
        self.model = model
        self.version = version
    }

    func record(
        _ batch: [BatchItem], times: BatchTimes, from start: MonotonicInstant,
        to end: MonotonicInstant
    ) {
        guard let tracer else { return }
        let wall = Int64(wallMilliseconds()) &* 1_000_000
        func instant(_ moment: MonotonicInstant) -> DefaultTracerClock.Timestamp {
            let ago = moment.duration(to: end).nanosecondsSaturating
            return DefaultTracerClock.Timestamp(
                nanosecondsSinceEpoch: UInt64(max(0, wall &- ago)))
        }
        let rows = batch.reduce(0) { $0 + $1.rows }
        let computing = start.advanced(by: .nanoseconds(times.input))
        let computed = computing.advanced(by: .nanoseconds(times.infer))
        for item in batch {
            let stages = [
                ("queue", item.arrival, start), ("batch", start, end),
                ("compute", computing, computed),
            ]
            for (name, from, to) in stages {
                let span = tracer.startSpan(
                    name, context: item.context, ofKind: .internal, at: instant(from))
                span.attributes["martlet.model.name"] = model
                span.attributes["martlet.model.version"] = version
                span.attributes["martlet.batch.rows"] = rows
                if name == "batch", case .failure(let error) = item.result {
                    span.recordError(error)
                    span.setStatus(SpanStatus(code: .error, message: error.message))
                }
                span.end(at: instant(to))
            }
        }
    }
}
