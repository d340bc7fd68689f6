// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletServing
internal import MartletTensor
internal import MartletWire
internal import ServiceContextModule

extension KServeRoutes {
    func addInference(to router: inout Router) {
        let inference = Inference(host)
        let handler: HTTPHandler = { inference.answer($0, $1) }
        router.on(.post, "/v2/models/:model/infer", handler)
        router.on(.post, "/v2/models/:model/versions/:version/infer", handler)
    }
}

/// Inference: decode on the event loop, run wherever the host runs it, encode back on the loop.
private final class Inference: Sendable {
    private let host: any ModelHost
    private let tracing = RequestTracing()

    init(_ host: any ModelHost) {
        self.host = host
    }

    func answer(_ request: HTTPRequest, _ responder: HTTPResponder) {
        do {
            let decoded = try tracing.withSpan("decode", request.context) {
                try InferenceDecoder.decode(request, recalling: responder, host: host)
            }
            run(decoded, request, responder)
        } catch {
            responder.complete(.kserve(error))
        }
    }

    private func run(
        _ decoded: InferenceBody.Decoded, _ request: HTTPRequest, _ responder: HTTPResponder
    ) {
        let encoder = decoded.encoder
        let context = request.context
        let shared = SharedOutputs(decoded.request.outputs, host.sharedMemory)
        host.submit(decoded.request, cancellation: request.cancellation) { [self] result in
            let result = shared?.deliver(result) ?? result
            var byteCount = 0
            if case .success(let response) = result { byteCount = encoder.textByteCount(response) }
            responder.complete(
                writing: byteCount,
                Answer(inference: self, encoder: encoder, context: context, result: result))
        }
    }

    private struct Answer: DeferredAnswer {
        let inference: Inference
        let encoder: InferenceEncoder
        let context: ServiceContext
        let result: Result<InferenceResponse, ServingError>

        consuming func write(into bytes: consuming [UInt8]) -> HTTPResponse {
            var room = bytes
            return inference.tracing.withSpan("encode", context) {
                var body: [UInt8] = []
                swap(&body, &room)
                do throws(ServingError) {
                    return try encoder.encode(try result.get(), into: consume body)
                } catch { return .kserve(error) }
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
