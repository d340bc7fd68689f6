// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletFormats
internal import MartletGRPC
internal import MartletServing
internal import MartletTesting
internal import MartletWire
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import Testing

/// The server over a loopback socket, driven frame by frame.
@Suite("gRPC server", .timeLimit(.minutes(1)))
struct GRPCServerTests {
    private let host = ScriptedHost()

    private func limits(_ change: (inout GRPCServer.Limits) -> Void = { _ in })
        -> GRPCServer.Limits
    {
        var limits = GRPCServer.Limits()
        limits.messageBytes = 1 << 20
        limits.drainTime = .seconds(5)
        change(&limits)
        return limits
    }

    /// Runs `body` beside a server; the server must end when told to, as `body` may tell it.
    private func serving(
        _ limits: GRPCServer.Limits? = nil,
        _ body: (_ port: Int, _ stop: @Sendable () async -> Void) async throws -> Void
    ) async throws {
        let (ports, bound) = AsyncStream.makeStream(of: Int.self)
        let server = GRPCServer(
            host, settings: ProtocolSettings(),
            configuration: .init(port: 0, limits: limits ?? self.limits()),
            onBound: { bound.yield($0) })
        let services = ServiceGroup(services: [server], logger: Logger(label: "test"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            try await body(port) { await services.triggerGracefulShutdown() }
            await services.triggerGracefulShutdown()
            try await group.waitForAll()
        }
    }

    private func infer(_ model: String, id: String = "") -> [UInt8] {
        var writer = ProtobufWriter()
        writer.string(1, model)
        writer.string(3, id)
        writer.message(5) { input in
            input.string(1, "INPUT0")
            input.string(2, "UINT8")
            input.packed(3, [4] as [Int64])
        }
        writer.bytes(7, [1, 2, 3, 4])
        return writer.bytes
    }

    private func until(_ condition: () -> Bool) async throws {
        for _ in 0..<1_000 where !condition() { try await Task.sleep(for: .milliseconds(5)) }
        #expect(condition())
    }

    @Test("a unary call is answered with head, message and trailers")
    func unary() async throws {
        try await serving { port, _ in
            let client = try await RawClient(port: port)
            let answer = try await client.call("ServerLive", [], [("x-request-id", "r7")])
            #expect(answer.fields[":status"] == "200")
            #expect(answer.fields["content-type"] == "application/grpc")
            #expect(answer.fields["x-request-id"] == "r7")
            #expect(answer.code == 0)
            #expect(answer.data == [0, 0, 0, 0, 2, 8, 1])
            let inference = try await client.call("ModelInfer", infer("echo"))
            #expect(inference.code == 0)
            #expect(inference.data.suffix(6) == [6 << 3 | 2, 4, 1, 2, 3, 4])
            try await client.close()
        }
    }

    @Test("errors come as trailers alone")
    func errors() async throws {
        try await serving { port, _ in
            let client = try await RawClient(port: port)
            let unknown = try await client.call("Nothing")
            #expect(unknown.code == 12)
            #expect(unknown.data.isEmpty)
            let model = try await client.call("ModelInfer", infer("nothing"))
            #expect(model.code == 5)
            #expect(model.fields["grpc-message"]?.contains("nothing") == true)
            let malformed = try await client.call("ModelReady", [0x0A, 0xFF])
            #expect(malformed.code == 3)
            let large = try await client.open("/inference.GRPCInferenceService/ModelInfer")
            large.send([0, 0x7F, 0, 0, 0], endStream: false)
            #expect(try await large.answer.get().code == 8)
            try await client.close()
        }
    }

    @Test("a client that resets its call cancels the request")
    func cancellation() async throws {
        try await serving { port, _ in
            let client = try await RawClient(port: port)
            let stream = try await client.open("/inference.GRPCInferenceService/ModelInfer")
            stream.send(RawStream.framed(infer("slow")), endStream: true)
            try await until { host.waitingCount == 1 }
            stream.reset()
            try await until { host.cancelledCount == 1 }
            host.answerWaiting()
            #expect(try await client.call("ServerLive").code == 0)
            try await client.close()
        }
    }

    @Test("a lost connection cancels its requests")
    func lostConnection() async throws {
        try await serving { port, _ in
            let client = try await RawClient(port: port)
            let stream = try await client.open("/inference.GRPCInferenceService/ModelInfer")
            stream.send(RawStream.framed(infer("slow")), endStream: true)
            try await until { host.waitingCount == 1 }
            try await client.close()
            try await until { host.cancelledCount == 1 }
            host.answerWaiting()
        }
    }

    @Test("the deadline of grpc-timeout is the request's, and ends the call")
    func deadline() async throws {
        try await serving { port, _ in
            let client = try await RawClient(port: port)
            let answer = try await client.call(
                "ModelInfer", infer("slow"), [("grpc-timeout", "1S")])
            #expect(answer.code == 4)
            #expect(host.lastRequest?.deadline != nil)
            #expect(host.cancelledCount == 1)
            host.answerWaiting()
            try await client.close()
        }
    }

    @Test("a message that does not come in time ends its call")
    func slowBody() async throws {
        try await serving(limits { $0.bodyTime = .milliseconds(50) }) { port, _ in
            let client = try await RawClient(port: port)
            let stream = try await client.open("/inference.GRPCInferenceService/ModelInfer")
            stream.send([0, 0, 0, 0, 10, 1], endStream: false)
            #expect(try await stream.answer.get().code == 4)
            try await client.close()
        }
    }

    @Test("unfinished messages of all streams share one bound")
    func budget() async throws {
        try await serving(limits { $0.unfinishedBytes = 30_000 }) { port, _ in
            let client = try await RawClient(port: port)
            var codes: [Int?] = []
            var streams: [RawStream] = []
            for _ in 0..<4 {
                let stream = try await client.open("/inference.GRPCInferenceService/ModelInfer")
                stream.send(
                    [0, 0, 0, 0x40, 0] + [UInt8](repeating: 1, count: 9_000), endStream: false)
                streams.append(stream)
            }
            codes.append(try await streams[3].answer.get().code)
            #expect(codes == [8])
            try await client.close()
        }
    }

    @Test("a stream takes no more requests than may be under way, and loses none")
    func backPressure() async throws {
        try await serving(limits { $0.requestsPerStream = 3 }) { port, _ in
            let client = try await RawClient(port: port)
            let stream = try await client.open("/inference.GRPCInferenceService/ModelStreamInfer")
            for index in 0..<10 {
                stream.send(RawStream.framed(infer("slow", id: "\(index)")), endStream: index == 9)
            }
            var answered = 0
            while answered < 10 {
                try await until { host.waitingCount == min(3, 10 - answered) }
                answered += host.waitingCount
                host.answerWaiting()
            }
            #expect(try await stream.answer.get().code == 0)
            try await client.close()
        }
    }

    @Test("a client gets no more than it makes room for, and then all of it")
    func slowReader() async throws {
        try await serving { port, _ in
            let client = try await RawClient(port: port, window: 100)
            var writer = ProtobufWriter()
            writer.string(1, "echo")
            writer.message(5) { input in
                input.string(1, "INPUT0")
                input.string(2, "UINT8")
                input.packed(3, [20_000] as [Int64])
            }
            writer.bytes(7, [UInt8](repeating: 5, count: 20_000))
            let stream = try await client.open("/inference.GRPCInferenceService/ModelInfer")
            let framed = RawStream.framed(writer.bytes)
            stream.send(Array(framed[..<16_000]), endStream: false)
            stream.send(Array(framed[16_000...]), endStream: true)
            for _ in 0..<200 where try await stream.receivedBytes() < 100 {
                try await Task.sleep(for: .milliseconds(5))
            }
            // Another call overtakes the one that waits.
            #expect(try await client.call("ServerLive").code == 0)
            #expect(try await stream.receivedBytes() == 100)
            stream.openWindow(by: 30_000)
            let answer = try await stream.answer.get()
            #expect(answer.code == 0)
            #expect(answer.data.suffix(20_000).allSatisfy { $0 == 5 })
            try await client.close()
        }
    }

    @Test("many calls at once on one connection are each answered with their own")
    func manyCalls() async throws {
        try await serving { port, _ in
            let client = try await RawClient(port: port)
            var streams: [RawStream] = []
            for turn in 0..<600 {
                let stream = try await client.open("/inference.GRPCInferenceService/ModelInfer")
                stream.send(RawStream.framed(infer("echo", id: "call \(turn)")), endStream: true)
                streams.append(stream)
            }
            for (turn, stream) in streams.enumerated() {
                let answer = try await stream.answer.get()
                // Beyond the limit of streams a call may be refused, but not mixed up.
                if answer.resetCode == 7 { continue }
                #expect(answer.code == 0)
                let text = String(decoding: answer.data, as: UTF8.self)
                #expect(text.contains("call \(turn)"))
            }
            try await client.close()
        }
    }

    @Test("what is not HTTP/2, and what is not gRPC, does not disturb others")
    func strangers() async throws {
        try await serving { port, _ in
            let client = try await RawClient(port: port)
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: port).get()
            try await channel.writeAndFlush(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"))
            try await channel.closeFuture.get()
            let stream = try await client.open("/x", [("content-type", "text/plain")])
            #expect(try await stream.answer.get().code == 12)
            #expect(try await client.call("ServerLive").code == 0)
            client.write([0, 0, 1, 6, 0, 0, 0, 0, 0, 0])
            try await client.channel.closeFuture.get()
        }
    }

    @Test("stopping lets calls finish, ends idle streams, and returns")
    func drain() async throws {
        try await serving { port, stop in
            let client = try await RawClient(port: port)
            let idle = try await client.open("/inference.GRPCInferenceService/ModelStreamInfer")
            let busy = try await client.open("/inference.GRPCInferenceService/ModelInfer")
            busy.send(RawStream.framed(infer("slow")), endStream: true)
            try await until { host.waitingCount == 1 }
            await stop()
            #expect(try await idle.answer.get().code == 14)
            host.answerWaiting()
            #expect(try await busy.answer.get().code == 0)
        }
    }

    @Test("more connections than allowed are closed")
    func connectionLimit() async throws {
        try await serving(limits { $0.connections = 1 }) { port, _ in
            let first = try await RawClient(port: port)
            #expect(try await first.call("ServerLive").code == 0)
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: port).get()
            try await channel.closeFuture.get()
            #expect(try await first.call("ServerLive").code == 0)
            try await first.close()
        }
    }

    @Test("a port in use is an error that names it")
    func portInUse() async throws {
        try await serving { port, _ in
            let second = GRPCServer(
                host, settings: ProtocolSettings(), configuration: .init(port: port))
            let error = await #expect(throws: GRPCServerError.self) { try await second.run() }
            #expect(error?.code == .cannotListen)
            #expect(error?.message.contains("\(port)") == true)
        }
    }
}
