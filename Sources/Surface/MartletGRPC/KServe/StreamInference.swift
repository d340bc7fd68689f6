// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletServing
internal import MartletWire
internal import NIOCore

/// One ModelStreamInfer call: requests come in, responses leave in the order in which they are
/// ready, told apart by their ids. No more than `requestsMax` are under way; the client's further
/// requests stay in its own flow-control window. Lives on the stream's event loop.
final class StreamInference: GRPCMessageSink {
    private let call: GRPCCall
    private let host: any ModelHost
    private let requestsMax: Int
    private let tracing: TracingBackend
    private var inflight = 0
    private var hasEnded = false
    private var isStopping = false

    init(call: GRPCCall, host: any ModelHost, requestsMax: Int, tracing: TracingBackend) {
        self.call = call
        self.host = host
        self.requestsMax = max(1, requestsMax)
        self.tracing = tracing
    }

    func receive(_ message: ByteBuffer) {
        let call = call
        var request: InferenceRequest
        do {
            request = try tracing.withSpan("decode", call.context) {
                try InferenceDecoder.decode(
                    message, sharedMemory: host.sharedMemory, deadline: call.deadline,
                    context: call.context)
            }
            request.allowsInlineRun = true
        } catch {
            return fail(GRPCStatus(error), id: InferenceDecoder.id(of: message))
        }
        inflight += 1
        updateReading()
        let id = request.id
        let wantsMarker = request.parameters["triton_enable_empty_final_response"] == .bool(true)
        let stream = NIOLoopBound(self, eventLoop: call.eventLoop)
        InferenceMethods.submit(request, to: host, cancellation: call.cancellation) { result in
            call.onLoop { stream.value.complete(result, id: id, wantsMarker: wantsMarker) }
        }
    }

    func receiveEnd() {
        hasEnded = true
        finishIfDone()
    }

    func becameWritable() {
        updateReading()
    }

    func stop() {
        isStopping = true
        finishIfDone()
    }

    private func complete(
        _ result: Result<InferenceResponse, ServingError>, id: String, wantsMarker: Bool
    ) {
        inflight -= 1
        guard !call.isFinished else { return }
        switch result {
        case .success(var response):
            if wantsMarker { response.parameters["triton_final_response"] = .bool(true) }
            do {
                let message = try tracing.withSpan("encode", call.context) {
                    try InferenceEncoder.streamMessage(
                        response, allocator: ByteBufferAllocator())
                }
                call.send(message)
            } catch {
                fail(GRPCStatus(error), id: id)
            }
        case .failure(let error): fail(GRPCStatus(error), id: id)
        }
        updateReading()
        finishIfDone()
    }

    /// An error answers its request and the stream goes on, unless the client asked for a status.
    private func fail(_ status: GRPCStatus, id: String) {
        if call.head.wantsStreamStatus {
            call.finish(status)
            call.cancellation.cancel()
        } else {
            call.send(InferenceEncoder.streamError(status.message, id: id))
        }
    }

    private func updateReading() {
        call.setReading(inflight < requestsMax && call.isWritable)
    }

    private func finishIfDone() {
        guard inflight == 0, !call.isFinished else { return }
        if hasEnded {
            call.finish(.ok)
        } else if isStopping {
            call.finish(GRPCStatus(.unavailable, "the server is stopping"))
        }
    }
}
