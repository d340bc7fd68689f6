// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Instrumentation
internal import MartletServing
internal import MartletWire
internal import ServiceContextModule
internal import Tracing

/// A request's own span and its trace headers, where somebody records them.
struct RequestTracing: Sendable {
    private let backend = TracingBackend.current

    func withSpan<Result>(
        _ name: String, _ context: ServiceContext, _ body: () throws -> Result
    ) rethrows -> Result {
        try backend.withSpan(name, context, body)
    }

    /// The caller's trace, out of its headers.
    func context(of head: HTTPRequestHead) -> ServiceContext {
        var context = ServiceContext.topLevel
        backend.instrument?.extract(head, into: &context, using: HeadExtractor())
        return context
    }

    /// The span of a whole request, which its stages' spans belong to; nil when nobody records.
    func startSpan(
        _ method: HTTPMethod, _ route: Route, in context: ServiceContext
    ) -> (any Span)? {
        guard let tracer = backend.tracer else { return nil }
        let name = "\(method.rawValue) \(route.pattern)"
        let span = tracer.startAnySpan(name, context: context, ofKind: .server)
        span.attributes["http.request.method"] = method.rawValue
        span.attributes["http.route"] = route.pattern
        return span
    }

    static func end(_ span: any Span, status: Int) {
        span.attributes["http.response.status_code"] = status
        if status >= 500 { span.setStatus(SpanStatus(code: .error)) }
        span.end()
    }
}

/// Reads trace headers (`traceparent`, `tracestate`, `baggage`) out of a head.
private struct HeadExtractor: Extractor {
    func extract(key: String, from head: HTTPRequestHead) -> String? {
        head.fields.value(named: key)
    }
}
