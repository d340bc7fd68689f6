// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletFormats
internal import MartletGRPC
internal import MartletServing
internal import MartletTesting
internal import MartletWire
internal import ServiceLifecycle
internal import Testing
internal import Tracing

@Suite("gRPC spans", .timeLimit(.minutes(1)))
struct SpanTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let caller = "00f067aa0ba902b7"

    private var message: [UInt8] {
        var writer = ProtobufWriter()
        writer.string(1, "m")
        writer.message(5) { input in
            input.string(1, "INPUT")
            input.string(2, "FP32")
            input.packed(3, [1, 4] as [Int64])
        }
        writer.bytes(7, [UInt8](repeating: 0, count: 16))
        return writer.bytes
    }

    @Test("one inference has a span for each stage, in the caller's trace")
    func inference() async throws {
        let folder = try TestFolder()
        try folder.write("echo.onnx", "")
        let tracer = RecordingTracer()
        try await tracer.scoped {
            var options = ServingOptions(paths: [])
            options.entries = [.init(path: folder.path + "/echo.onnx", name: "m")]
            let host = LocalModelHost(options, engine: TestEngine.echo())
            try await host.start()
            let (ports, bound) = AsyncStream.makeStream(of: Int.self)
            let server = GRPCServer(
                host, settings: ProtocolSettings(), configuration: .init(port: 0),
                onBound: { bound.yield($0) })
            let services = ServiceGroup(services: [server], logger: Logger(label: "test"))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await services.run() }
                var iterator = ports.makeAsyncIterator()
                let client = try await RawClient(port: try #require(await iterator.next()))
                let header = "00-\(SpanTests.trace)-\(SpanTests.caller)-01"
                let answer = try await client.call(
                    "ModelInfer", message, [("traceparent", header)])
                #expect(answer.fields["grpc-status"] == "0")
                await services.triggerGracefulShutdown()
                try await group.waitForAll()
            }
        }
        let spans = tracer.spans.filter { $0.ids.trace == SpanTests.trace }
        let request = try #require(spans.first { $0.kind == .server })
        #expect(request.name == "inference.GRPCInferenceService/ModelInfer")
        #expect(request.parent?.span == SpanTests.caller)
        #expect(request.attributes.get("rpc.grpc.status_code") == .int64(0))
        let stages = spans.filter { $0.kind == .internal }
        #expect(
            stages.map(\.name).sorted()
                == ["admission", "batch", "compute", "decode", "encode", "queue"])
        #expect(spans.count == stages.count + 1)
        for stage in stages { #expect(stage.parent == request.ids, "\(stage.name)") }
    }
}
