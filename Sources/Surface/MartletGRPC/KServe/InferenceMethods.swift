// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletServing
internal import MartletWire
internal import NIOCore

/// ModelInfer and ModelStreamInfer.
struct InferenceMethods {
    private let host: any ModelHost
    private let requestsPerStream: Int

    init(_ host: any ModelHost, requestsPerStream: Int) {
        self.host = host
        self.requestsPerStream = requestsPerStream
    }

    var all: [GRPCMethod] { [infer, streamInfer] }

    private var infer: GRPCMethod {
        let host = host
        let tracing = TracingBackend.current
        return GRPCMethod(
            name: "inference.GRPCInferenceService/ModelInfer",
            body: .unary { call, message in
                do {
                    var request = try tracing.withSpan("decode", call.context) {
                        try InferenceDecoder.decode(
                            message, sharedMemory: host.sharedMemory, deadline: call.deadline,
                            context: call.context)
                    }
                    request.allowsInlineRun = true
                    InferenceMethods.submit(
                        request, to: host, cancellation: call.cancellation
                    ) { result in
                        call.onLoop { InferenceMethods.answer(call, result, tracing) }
                    }
                } catch {
                    call.finish(GRPCStatus(error))
                }
            })
    }

    private static func answer(
        _ call: GRPCCall, _ result: Result<InferenceResponse, ServingError>,
        _ tracing: TracingBackend
    ) {
        guard !call.isFinished else { return }
        do {
            let response = try result.get()
            call.reply(
                try tracing.withSpan("encode", call.context) {
                    try InferenceEncoder.message(response, allocator: ByteBufferAllocator())
                })
        } catch {
            call.finish(GRPCStatus(error))
        }
    }

    private var streamInfer: GRPCMethod {
        let host = host
        let requestsMax = requestsPerStream
        let tracing = TracingBackend.current
        return GRPCMethod(
            name: "inference.GRPCInferenceService/ModelStreamInfer",
            body: .streaming { call in
                StreamInference(
                    call: call, host: host, requestsMax: requestsMax, tracing: tracing)
            })
    }

    /// Hands a request to the host, and outputs that were asked for in shared memory to it.
    static func submit(
        _ request: InferenceRequest, to host: any ModelHost, cancellation: Cancellation,
        completion: @escaping ModelHost.InferenceCompletion
    ) {
        guard request.outputs.contains(where: { $0.parameters["shared_memory_region"] != nil })
        else { return host.submit(request, cancellation: cancellation, completion: completion) }
        let requested = request.outputs
        let registry = host.sharedMemory
        host.submit(request, cancellation: cancellation) { result in
            completion(
                result.flatMap { response in
                    var delivered = response
                    do throws(ServingError) {
                        try ProtocolRequest.deliverSharedMemory(
                            &delivered, requested: requested, in: registry)
                        return .success(delivered)
                    } catch {
                        return .failure(error)
                    }
                })
        }
    }
}
