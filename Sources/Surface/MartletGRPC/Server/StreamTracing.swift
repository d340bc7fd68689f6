// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Instrumentation
internal import MartletServing
internal import MartletWire
internal import ServiceContextModule
internal import Tracing

/// The tracing back end as it was when the server was made; nil parts cost nothing per call.
struct StreamTracing: Sendable {
    private let backend = TracingBackend.current

    /// The context that a request's metadata carries (W3C `traceparent` and what is configured).
    func context(of metadata: HTTP2Fields) -> ServiceContext {
        var context = ServiceContext.topLevel
        backend.instrument?.extract(metadata, into: &context, using: MetadataExtractor())
        return context
    }

    func startSpan(_ name: String, in context: ServiceContext) -> (any Span)? {
        guard let tracer = backend.tracer else { return nil }
        let span = tracer.startAnySpan(name, context: context, ofKind: .server)
        span.attributes["rpc.system"] = "grpc"
        return span
    }

    static func end(_ span: any Span, with status: GRPCStatus) {
        span.attributes["rpc.grpc.status_code"] = status.code.rawValue
        if status.code != .ok {
            span.setStatus(SpanStatus(code: .error, message: status.message))
        }
        span.end()
    }
}

/// Reads trace context from a header block.
private struct MetadataExtractor: Extractor {
    func extract(key: String, from carrier: HTTP2Fields) -> String? {
        carrier.first(key.lowercased())
    }
}
