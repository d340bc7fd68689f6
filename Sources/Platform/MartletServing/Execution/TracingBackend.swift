// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import Instrumentation
internal import ServiceContextModule
package import Tracing

/// Where spans go, looked up once by each part of the server as it is set up: the look-up casts
/// dynamically, which costs more than decoding a small request. Without a back end nothing is done
/// per request.
package struct TracingBackend: Sendable {
    package let tracer: (any Tracer)?
    package let instrument: (any Instrument)?

    /// For parts set up inside `$scoped.withValue`: a process has one back end and takes it once,
    /// tests need one each.
    @TaskLocal package static var scoped: TracingBackend?

    /// The process's back end as it is now.
    package static var current: TracingBackend {
        if let scoped { return scoped }
        let tracer = InstrumentationSystem.tracer
        let instrument = InstrumentationSystem.instrument
        return TracingBackend(
            tracer: tracer is NoOpTracer ? nil : tracer,
            instrument: instrument is NoOpInstrument ? nil : instrument)
    }

    package init(tracer: (any Tracer)?, instrument: (any Instrument)?) {
        self.tracer = tracer
        self.instrument = instrument
    }

    package func withSpan<Result>(
        _ name: String, _ context: ServiceContext, _ body: () throws -> Result
    ) rethrows -> Result {
        guard let tracer else { return try body() }
        return try tracer.withAnySpan(name, context: context, ofKind: .internal) { _ in
            try body()
        }
    }
}
