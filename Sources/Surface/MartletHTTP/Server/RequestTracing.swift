// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Instrumentation
internal import MartletWire
internal import ServiceContextModule
internal import Tracing

/// Spans and trace headers, where somebody records them. The back ends are looked up once: the
/// look-up casts dynamically, which costs more than decoding a small request.
struct RequestTracing: Sendable {
    private let tracer: (any Tracer)?
    private let instrument: (any Instrument)?

    /// Takes the back ends that have been set up so far.
    init() {
        let tracer = InstrumentationSystem.tracer
        self.tracer = tracer is NoOpTracer ? nil : tracer
        let instrument = InstrumentationSystem.instrument
        self.instrument = instrument is NoOpInstrument ? nil : instrument
    }

    func withSpan<Result>(
        _ name: String, _ context: ServiceContext, _ body: () throws -> Result
    ) rethrows -> Result {
        guard let tracer else { return try body() }
        return try tracer.withAnySpan(name, context: context, ofKind: .internal) { _ in
            try body()
        }
    }

    /// The caller's trace, out of its headers.
    func context(of head: HTTPRequestHead) -> ServiceContext {
        var context = ServiceContext.topLevel
        instrument?.extract(head, into: &context, using: HeadExtractor())
        return context
    }
}

/// Reads trace headers (`traceparent`, `tracestate`, `baggage`) out of a head.
private struct HeadExtractor: Extractor {
    func extract(key: String, from head: HTTPRequestHead) -> String? {
        head.fields.value(named: key)
    }
}
