// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletServing
internal import ServiceContextModule
internal import Synchronization
package import Tracing

/// A back end that keeps spans in memory, and reads and writes W3C trace headers.
///
///     let tracer = RecordingTracer()
///     try await tracer.scoped { … set up and use what is to be traced … }
///     #expect(tracer.spans.map(\.name) == ["decode"])
package final class RecordingTracer: Tracer {
    /// An ended span.
    package struct Recorded: Sendable {
        package var name: String
        package var kind: SpanKind
        package var ids: TraceParent
        package var parent: TraceParent?
        package var attributes: SpanAttributes
        package var status: SpanStatus?
        package var errors: [String]
        package var start: UInt64
        package var end: UInt64
    }

    private let recorded = Mutex<[Recorded]>([])
    private let last = Atomic<UInt64>(0)

    package init() {}

    /// The spans that have ended, in the order of their ends.
    package var spans: [Recorded] { recorded.withLock { $0 } }

    /// Runs `body` with this tracer as the back end of every part that is set up in it.
    package func scoped<Result>(_ body: () async throws -> Result) async rethrows -> Result {
        try await TracingBackend.$scoped.withValue(
            TracingBackend(tracer: self, instrument: self), operation: body)
    }

    package func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext,
        ofKind kind: SpanKind, at instant: @autoclosure () -> Instant, function: String,
        file fileID: String, line: UInt
    ) -> RecordingSpan {
        var context = context()
        let parent = context[TraceParent.Key.self]
        let number = last.add(1, ordering: .relaxed).newValue
        let ids = TraceParent(trace: parent?.trace ?? "trace-\(number)", span: "span-\(number)")
        context[TraceParent.Key.self] = ids
        let record = Recorded(
            name: operationName, kind: kind, ids: ids, parent: parent, attributes: [:],
            errors: [], start: instant().nanosecondsSinceEpoch, end: 0)
        return RecordingSpan(context: context, record: record) { [self] ended in
            recorded.withLock { $0.append(ended) }
        }
    }

    package func forceFlush() {}

    package func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let header = extractor.extract(key: "traceparent", from: carrier),
            let parent = TraceParent(header: header)
        else { return }
        context[TraceParent.Key.self] = parent
    }

    package func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let ids = context[TraceParent.Key.self] else { return }
        injector.inject("00-\(ids.trace)-\(ids.span)-01", forKey: "traceparent", into: &carrier)
    }
}

/// Which span of which trace.
package struct TraceParent: Sendable, Hashable {
    enum Key: ServiceContextKey { typealias Value = TraceParent }

    package var trace: String
    package var span: String

    init(trace: String, span: String) {
        self.trace = trace
        self.span = span
    }

    /// Out of `00-<32 hexadecimal digits>-<16>-<2>`; nil for anything else.
    init?(header: String) {
        let parts = header.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [2, 32, 16, 2], parts[0] == "00",
            parts.allSatisfy({ $0.allSatisfy(\.isHexDigit) })
        else { return nil }
        self.init(trace: String(parts[1]), span: String(parts[2]))
    }
}

/// A span of a `RecordingTracer`, which gets it when it ends.
package final class RecordingSpan: Span {
    private struct State {
        var record: RecordingTracer.Recorded
        var isRecording = true
    }

    package let context: ServiceContext
    private let state: Mutex<State>
    private let onEnd: @Sendable (RecordingTracer.Recorded) -> Void

    init(
        context: ServiceContext, record: RecordingTracer.Recorded,
        onEnd: @escaping @Sendable (RecordingTracer.Recorded) -> Void
    ) {
        self.context = context
        state = Mutex(State(record: record))
        self.onEnd = onEnd
    }

    package var operationName: String {
        get { state.withLock { $0.record.name } }
        set { state.withLock { $0.record.name = newValue } }
    }

    package var attributes: SpanAttributes {
        get { state.withLock { $0.record.attributes } }
        set { state.withLock { $0.record.attributes = newValue } }
    }

    package var isRecording: Bool { state.withLock { $0.isRecording } }

    package func setStatus(_ status: SpanStatus) {
        state.withLock { $0.record.status = status }
    }

    package func addEvent(_ event: SpanEvent) {}

    package func addLink(_ link: SpanLink) {}

    package func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        state.withLock { $0.record.errors.append("\(error)") }
    }

    package func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        let end = instant().nanosecondsSinceEpoch
        let ended = state.withLock { state -> RecordingTracer.Recorded? in
            guard state.isRecording else { return nil }
            state.isRecording = false
            state.record.end = end
            return state.record
        }
        if let ended { onEnd(ended) }
    }
}
