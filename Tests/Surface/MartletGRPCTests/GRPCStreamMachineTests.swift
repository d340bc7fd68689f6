// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGRPC
internal import MartletWire
internal import NIOCore
internal import Testing

@Suite("gRPC stream machine")
struct GRPCStreamMachineTests {
    private func machine(_ kind: GRPCStreamMachine.Kind, ended: Bool = false) throws
        -> GRPCStreamMachine
    {
        var machine = GRPCStreamMachine(messageBytesMax: 100)
        let head = try GRPCRequestHead(
            HTTP2Fields([
                (":method", "POST"), (":path", "/a/b"), ("content-type", "application/grpc"),
            ]))
        machine.receive(head: head, kind: kind, endStream: ended)
        return machine
    }

    private let one = ByteBuffer(bytes: [0, 0, 0, 0, 1, 7])
    private let seven = ByteBuffer(bytes: [7])

    private func failure(_ event: GRPCStreamMachine.Event) -> GRPCStatus.Code? {
        guard case .failure(let status) = event else { return nil }
        return status.code
    }

    @Test("a unary message is handed on once the client has ended")
    func unary() throws {
        var machine = try machine(.unary)
        machine.receive(data: one, endStream: false)
        #expect(machine.next() == .needsMore)
        machine.receiveEnd()
        #expect(machine.next() == .message(seven))
        #expect(machine.next() == .needsMore)
    }

    @Test("a unary call takes exactly one message")
    func cardinality() throws {
        var none = try machine(.unary, ended: true)
        #expect(failure(none.next()) == .unimplemented)
        var two = try machine(.unary)
        two.receive(data: one, endStream: false)
        two.receive(data: one, endStream: true)
        #expect(failure(two.next()) == .unimplemented)
    }

    @Test(
        "a request that ends inside a message is an error",
        arguments: [GRPCStreamMachine.Kind.unary, .streaming])
    func truncated(kind: GRPCStreamMachine.Kind) throws {
        var machine = try machine(kind)
        machine.receive(data: ByteBuffer(bytes: [0, 0, 0, 0, 2, 7]), endStream: true)
        #expect(failure(machine.next()) == .internal)
        #expect(machine.next() == .needsMore)
    }

    @Test("a stream hands on each message, then the end")
    func streaming() throws {
        var machine = try machine(.streaming)
        machine.receive(data: one, endStream: false)
        #expect(machine.next() == .message(seven))
        #expect(machine.next() == .needsMore)
        machine.receive(data: one, endStream: true)
        #expect(machine.next() == .message(seven))
        #expect(machine.next() == .endOfMessages)
        #expect(machine.next() == .needsMore)
    }

    @Test("after a failure nothing is taken any more")
    func closed() throws {
        var machine = try machine(.streaming)
        machine.receive(data: ByteBuffer(bytes: [9, 0, 0, 0, 0]), endStream: false)
        #expect(failure(machine.next()) == .internal)
        machine.receive(data: one, endStream: true)
        #expect(machine.next() == .needsMore)
        #expect(!machine.isReceiving)
    }

    @Test("the head goes out once, trailers once, and errors alone without a head")
    func outbound() throws {
        var answered = try machine(.streaming)
        #expect(answered.respond() == .headAndMessage)
        #expect(answered.respond() == .message)
        #expect(answered.finish() == .trailers)
        #expect(answered.finish() == .nothing)
        #expect(answered.respond() == .nothing)
        var refused = try machine(.unary)
        #expect(refused.finish() == .trailersOnly)
        #expect(refused.isFinished)
    }
}
