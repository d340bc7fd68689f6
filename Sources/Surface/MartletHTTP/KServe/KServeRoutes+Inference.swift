// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletServing
internal import MartletTensor
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
        _ decoded: InferenceBody.Decoded, _ request: HTTPRequest, _ responder: HTTPResponder,
        _ host: any ModelHost, _ tracing: RequestTracing
    ) {
        let encoder = decoded.encoder
        let context = request.context
        let shared = SharedOutputs(decoded.request.outputs, host.sharedMemory)
        var submitted = decoded.request
        submitted.allowsInlineRun = true
        host.submit(submitted, cancellation: request.cancellation) { result in
            let result = shared?.deliver(result) ?? result
            var byteCount = 0
            if case .success(let response) = result { byteCount = encoder.textByteCount(response) }
            responder.complete(writing: byteCount) {
                tracing.withSpan("encode", context) {
                    do throws(ServingError) {
                        return try encoder.encode(try result.get())
                    } catch { return .kserve(error) }
                }
            }
        }
    }
}

/// The outputs of a request that go to shared memory.
private struct SharedOutputs: Sendable {
    private let requested: [RequestedOutput]
    private let registry: SharedMemoryRegistry

    /// nil when there are none.
    init?(_ requested: [RequestedOutput], _ registry: SharedMemoryRegistry) {
        guard requested.contains(where: { $0.parameters["shared_memory_region"] != nil }) else {
            return nil
        }
        self.requested = requested
        self.registry = registry
    }

    func deliver(
        _ result: Result<InferenceResponse, ServingError>
    ) -> Result<InferenceResponse, ServingError> {
        result.flatMap { response in
            var delivered = response
            do throws(ServingError) {
                try ProtocolRequest.deliverSharedMemory(
                    &delivered, requested: requested, in: registry)
                return .success(delivered)
            } catch { return .failure(error) }
        }
    }
}
