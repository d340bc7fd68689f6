// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletGRPC
internal import MartletServing
internal import MartletTensor
internal import MartletTesting
internal import MartletWire
internal import NIOCore
internal import ServiceContextModule
internal import Testing

@Suite("gRPC fuzz")
struct GRPCFuzzTests {
    private static func message(raw: Bool) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.string(1, "m")
        writer.string(2, "3")
        writer.message(4) { entry in
            entry.string(1, "priority")
            entry.message(2) { $0.uint64(5, 1) }
        }
        for (name, type) in [("x", "FP32"), ("s", "BYTES")] {
            writer.message(5) { input in
                input.string(1, name)
                input.string(2, type)
                input.packed(3, [1, 2] as [Int64])
                if raw { return }
                input.message(5) { contents in
                    if name == "x" {
                        contents.packed(6, [1, -2] as [Float])
                    } else {
                        contents.string(8, "A")
                        contents.string(8, "")
                    }
                }
            }
        }
        writer.message(6) { output in
            output.string(1, "y")
            output.message(2) { entry in
                entry.string(1, "classification")
                entry.message(2) { $0.int64(2, 4) }
            }
        }
        if raw {
            writer.bytes(7, [0, 0, 128, 63, 0, 0, 0, 64])
            writer.bytes(7, [1, 0, 0, 0, 65, 0, 0, 0, 0])
        }
        return writer.bytes
    }

    @Test("every tensor of an accepted message lies in its memory and can be answered with")
    func messages() {
        let registry = SharedMemoryRegistry(isAllowed: true)
        let seeds = [GRPCFuzzTests.message(raw: true), GRPCFuzzTests.message(raw: false)]
        fuzz("gRPC inference", seeds: seeds) { bytes in
            let request = try InferenceDecoder.decode(
                ByteBuffer(bytes: bytes), sharedMemory: registry, deadline: nil, context: .topLevel)
            var total = 0
            for input in request.inputs {
                for index in 0..<input.tensor.byteCount {
                    total &+= unsafe Int(input.tensor.bytes[index])
                }
            }
            _ = try InferenceEncoder.message(
                InferenceResponse(model: "m", version: "1", id: "", outputs: request.inputs),
                allocator: ByteBufferAllocator())
        }
    }

    private static func framed(_ payload: ByteBuffer, flag: UInt8) -> [UInt8] {
        let count = UInt32(payload.readableBytes)
        let prefix = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> UInt32($0)) }
        return [flag] + prefix + Array(payload.readableBytesView)
    }

    @Test("however a stream is cut, the same messages and the same end come out")
    func streams() throws {
        let payload = ByteBuffer(repeating: 0x61, count: 300)
        let packed = try #require(MessageCoding.gzip.compress(payload))
        let plain = GRPCFuzzTests.framed(ByteBuffer(bytes: [1, 2, 3]), flag: 0)
        let zipped = GRPCFuzzTests.framed(packed, flag: 1)
        let head = try GRPCRequestHead(
            HTTP2Fields([
                (":method", "POST"), (":path", "/a.B/C"), ("content-type", "application/grpc"),
                ("grpc-encoding", "gzip"),
            ]))
        func events(_ bytes: [UInt8], piece: Int) -> [GRPCStreamMachine.Event] {
            var machine = GRPCStreamMachine(messageBytesMax: 4_096)
            machine.receive(head: head, kind: .streaming, endStream: false)
            var events: [GRPCStreamMachine.Event] = []
            var place = 0
            while place < bytes.count {
                let end = min(place + piece, bytes.count)
                machine.receive(data: ByteBuffer(bytes: bytes[place..<end]), endStream: false)
                place = end
                drain(&machine, into: &events)
            }
            machine.receiveEnd()
            drain(&machine, into: &events)
            return events
        }
        var turn = 0
        fuzz("gRPC stream", seeds: [plain + zipped + plain, zipped], sizeMax: 8_192) { bytes in
            turn += 1
            let whole = events(bytes, piece: max(bytes.count, 1))
            #expect(events(bytes, piece: 1 + turn % 67) == whole)
            guard whole.last == .endOfMessages else { throw GRPCStatus(.internal, "refused") }
        }
    }

    private func drain(
        _ machine: inout GRPCStreamMachine, into events: inout [GRPCStreamMachine.Event]
    ) {
        while true {
            let event = machine.next()
            if event == .needsMore { return }
            events.append(event)
            if event == .endOfMessages { return }
            if case .failure = event { return }
        }
    }

    @Test("no header value crashes what reads it")
    func heads() {
        let seed =
            "grpc-timeout\n250m\ngrpc-encoding\ngzip\ngrpc-accept-encoding\nidentity, gzip\n"
            + ":path\n/a.B/C\ncontent-type\napplication/grpc+proto;x\nx-request-id\nr"
        fuzz("gRPC head", seeds: [Array(seed.utf8)]) { bytes in
            var headers = [(":method", "POST")]
            let lines = bytes.split(separator: 0x0A)
            for index in stride(from: 0, to: lines.count - 1, by: 2) {
                headers.append(
                    (
                        String(decoding: lines[index], as: UTF8.self),
                        String(decoding: lines[index + 1], as: UTF8.self)
                    ))
            }
            let head = try GRPCRequestHead(HTTP2Fields(headers))
            #expect(head.timeout.map { $0 >= .zero } ?? true)
        }
    }
}
