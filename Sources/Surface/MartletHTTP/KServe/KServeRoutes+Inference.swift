// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletServing
internal import MartletWire

extension KServeRoutes {
    /// Inference: decode on the event loop, run wherever the host runs it, encode back on the loop.
    func addInference(to router: inout Router) {
        let host = host
        let tracing = RequestTracing()
        let handler: HTTPHandler = { request, responder in
            do {
                let decoded = try tracing.withSpan("decode", request.context) {
                    try InferenceDecoder.decode(request, host: host, context: request.context)
                }
                KServeRoutes.infer(decoded, request, responder, host, tracing)
            } catch {
                responder.complete(.kserve(error))
            }
        }
        router.on(.post, "/v2/models/:model/infer", handler)
        router.on(.post, "/v2/models/:model/versions/:version/infer", handler)
    }

    private static func infer(
        _ decoded: InferenceRequest, _ request: HTTPRequest, _ responder: HTTPResponder,
        _ host: any ModelHost, _ tracing: RequestTracing
    ) {
        let encoder = InferenceEncoder(decoded)
        let requested = decoded.outputs
        let context = request.context
        let registry = host.sharedMemory
        let isShared = requested.contains { $0.parameters["shared_memory_region"] != nil }
        var submitted = decoded
        submitted.allowsInlineRun = true
        host.submit(submitted, cancellation: request.cancellation) { result in
            let result = result.flatMap { response -> Result<InferenceResponse, ServingError> in
                guard isShared else { return .success(response) }
                var delivered = response
                do throws(ServingError) {
                    try ProtocolRequest.deliverSharedMemory(
                        &delivered, requested: requested, in: registry)
                    return .success(delivered)
                } catch { return .failure(error) }
            }
            responder.complete(making: {
                tracing.withSpan("encode", context) {
                    do throws(ServingError) {
                        return try encoder.encode(try result.get())
                    } catch { return .kserve(error) }
                }
            })
        }
    }
}
