// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ServiceContextModule
internal import Synchronization
internal import Tracing

/// Opens the span of a request's way into its model's queue: look-up, checks, binding. Texts are
/// made into tokens behind it, on other threads, in a span of their own.
struct AdmissionSpans: Sendable {
    typealias Completion<Response> = @Sendable (Result<Response, ServingError>) -> Void

    /// Why a request was refused, if it was before the span's end.
    private final class Refusal: Sendable {
        let error = Mutex<ServingError?>(nil)
    }

    private let tracer: any Tracer

    /// Nil without a back end.
    init?(_ backend: TracingBackend) {
        guard let tracer = backend.tracer else { return nil }
        self.tracer = tracer
    }

    func withSpan<Response>(
        _ model: String, _ context: ServiceContext, _ completion: @escaping Completion<Response>,
        _ admit: (@escaping Completion<Response>) -> Void
    ) {
        let span = tracer.startAnySpan("admission", context: context, ofKind: .internal)
        span.attributes["martlet.model.name"] = model
        let refusal = Refusal()
        admit { result in
            if case .failure(let error) = result { refusal.error.withLock { $0 = error } }
            completion(result)
        }
        if let error = refusal.error.withLock({ $0 }) {
            span.recordError(error)
            span.setStatus(SpanStatus(code: .error, message: error.message))
        }
        span.end()
    }
}
