// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import MartletGRPC
internal import MartletServing
internal import MartletTensor
internal import MartletWire
internal import NIOCore
internal import ServiceContextModule
internal import Testing

@Suite("gRPC inference messages")
struct InferenceMessageTests {
    private func decode(_ writer: ProtobufWriter) throws -> InferenceRequest {
        try InferenceDecoder.decode(
            ByteBuffer(bytes: writer.bytes), sharedMemory: SharedMemoryRegistry(isAllowed: true),
            deadline: nil, context: .topLevel)
    }

    private func refusal(_ writer: ProtobufWriter) -> GRPCStatus? {
        do {
            _ = try decode(writer)
            return nil
        } catch {
            return GRPCStatus(error)
        }
    }

    private func request(
        _ name: String = "x", _ datatype: String = "FP32", shape: [Int64] = [1, 2],
        raw: [[UInt8]] = [], contents: (inout ProtobufWriter) -> Void = { _ in }
    ) -> ProtobufWriter {
        var writer = ProtobufWriter()
        writer.string(1, "m")
        writer.message(5) { input in
            input.string(1, name)
            input.string(2, datatype)
            input.packed(3, shape)
            var inner = ProtobufWriter()
            contents(&inner)
            if !inner.bytes.isEmpty { input.bytes(5, inner.bytes) }
        }
        for bytes in raw { writer.bytes(7, bytes) }
        return writer
    }

    private func bytes(_ tensor: Tensor) -> [UInt8] { unsafe Array(tensor.bytes) }

    @Test("every field of a request is read")
    func fields() throws {
        var writer = request(raw: [[1, 2, 3, 4, 5, 6, 7, 8]])
        writer.string(2, "3")
        writer.string(3, "id")
        for (key, number) in [("priority", 5), ("timeout", 2)] as [(String, Int)] {
            writer.message(4) { entry in
                entry.string(1, key)
                entry.message(2) { $0.uint64(number, 1_000) }
            }
        }
        writer.message(6) { output in
            output.string(1, "y")
            output.message(2) { entry in
                entry.string(1, "classification")
                entry.message(2) { $0.int64(2, 4) }
            }
        }
        let request = try decode(writer)
        #expect(request.model == "m" && request.version == "3" && request.id == "id")
        #expect(request.priority == 1_000)
        #expect(request.queueTimeout == .milliseconds(1))
        #expect(request.outputs.first?.name == "y")
        #expect(request.outputs.first?.classification == 4)
        let tensor = try #require(request.inputs.first?.tensor)
        #expect(tensor.elementType == .float32 && tensor.shape == [1, 2])
        #expect(bytes(tensor) == [1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test("raw contents of bytes are views of the message, not copies")
    func view() throws {
        let writer = request("x", "UINT8", shape: [4], raw: [[1, 2, 3, 4]])
        let message = ByteBuffer(bytes: writer.bytes)
        let request = try InferenceDecoder.decode(
            message, sharedMemory: SharedMemoryRegistry(), deadline: nil, context: .topLevel)
        let tensor = try #require(request.inputs.first?.tensor)
        #expect(tensor.storage.isBorrowed)
        let base = unsafe message.withUnsafeReadableBytes { Int(bitPattern: $0.baseAddress) }
        #expect(unsafe Int(bitPattern: tensor.storage.base) == base)
        #expect(bytes(tensor) == [1, 2, 3, 4])
    }

    @Test("typed contents become the bytes of their type")
    func typed() throws {
        let cases: [(String, [UInt8], (inout ProtobufWriter) -> Void)] = [
            ("BOOL", [1, 0], { $0.packed(1, [true, false]) }),
            ("INT8", [255, 127], { $0.packed(2, [-1, 127] as [Int32]) }),
            ("INT16", [0, 128, 1, 0], { $0.packed(2, [-32_768, 1] as [Int32]) }),
            ("INT32", [255, 255, 255, 255, 1, 0, 0, 0], { $0.packed(2, [-1, 1] as [Int32]) }),
            ("UINT8", [255, 0], { $0.packed(4, [255, 0] as [UInt32]) }),
            ("UINT16", [255, 255, 1, 0], { $0.packed(4, [65_535, 1] as [UInt32]) }),
            ("FP32", [0, 0, 128, 63, 0, 0, 0, 192], { $0.packed(6, [1, -2] as [Float]) }),
            (
                "BYTES", [1, 0, 0, 0, 65, 0, 0, 0, 0],
                {
                    $0.string(8, "A"); $0.string(8, "")
                }
            ),
        ]
        for (datatype, expected, contents) in cases {
            let request = try decode(request("x", datatype, contents: contents))
            let tensor = try #require(request.inputs.first?.tensor)
            #expect(bytes(tensor) == expected, "\(datatype)")
        }
        var unpacked = ProtobufWriter()
        unpacked.float(6, 1)
        unpacked.float(6, -2)
        let single = unpacked.bytes
        let request = try decode(request(contents: { $0.bytes = single }))
        #expect(bytes(try #require(request.inputs.first?.tensor)) == [0, 0, 128, 63, 0, 0, 0, 192])
    }

    @Test("typed contents that do not fit are refused")
    func typedRefusals() {
        let refused: [(String, (inout ProtobufWriter) -> Void)] = [
            ("FP32", { $0.packed(6, [1] as [Float]) }),
            ("FP32", { $0.packed(6, [1, 2, 3] as [Float]) }),
            ("FP32", { $0.packed(2, [1, 2] as [Int32]) }),
            (
                "FP32",
                {
                    $0.bytes(6, [1, 2, 3]); $0.float(6, 1); $0.bytes(6, [1])
                }
            ),
            ("INT8", { $0.packed(2, [128, 0] as [Int32]) }),
            ("UINT8", { $0.packed(4, [256, 0] as [UInt32]) }),
            ("FP16", { $0.packed(6, [1, 2] as [Float]) }),
            ("BYTES", { $0.string(8, "A") }),
            ("FP32", { _ in }),
        ]
        for (datatype, contents) in refused {
            #expect(
                refusal(request("x", datatype, contents: contents))?.code == .invalidArgument,
                "\(datatype)")
        }
    }

    @Test("shapes, types, versions and counts that cannot be are refused")
    func refusals() {
        let eight = [UInt8](repeating: 0, count: 8)
        let refused = [
            request(shape: [-1, 2], raw: [eight]), request(shape: [.max, .max], raw: [eight]),
            request(shape: [Int64](repeating: 1, count: 70), raw: [eight]),
            request("x", "FP31", raw: [eight]), request(raw: [eight, eight]),
            request(raw: [[0]]), request(shape: [1 << 40], raw: [eight]),
            request(raw: [eight]) { $0.packed(6, [1, 2] as [Float]) },
        ]
        for writer in refused { #expect(refusal(writer)?.code == .invalidArgument) }
        var version = request(raw: [eight])
        version.string(2, "two")
        #expect(refusal(version)?.message.contains("'two'") == true)
    }

    @Test("mutated messages are answered or refused, never worse")
    func mutations() {
        let seed: UInt64 = 42
        var random = SeededRandom(seed: seed)
        let original = request(raw: [[1, 2, 3, 4, 5, 6, 7, 8]]).bytes
        for _ in 0..<20_000 {
            var writer = ProtobufWriter()
            writer.bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<writer.bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: writer.bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: writer.bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
                default: writer.bytes.removeSubrange(index...)
                }
                if writer.bytes.isEmpty { writer.bytes = [0] }
            }
            let status = refusal(writer)
            #expect(status == nil || status?.code == .invalidArgument || status?.code == .notFound)
        }
    }

    @Test("a response carries names, shapes, parameters and raw contents")
    func response() throws {
        let storage = TensorStorage(byteCount: 300)
        unsafe storage.mutableBytes.initializeMemory(as: UInt8.self, repeating: 9)
        let tensor = try Tensor(elementType: .uint8, shape: [3, 100], storage: storage)
        let response = InferenceResponse(
            model: "m", version: "1", id: "i", parameters: ["p": .bool(true)],
            outputs: [
                NamedTensor(name: "y", tensor: tensor),
                NamedTensor(
                    name: "z", tensor: tensor,
                    parameters: ["shared_memory_region": .string("r")]),
            ])
        let message = try InferenceEncoder.message(response, allocator: ByteBufferAllocator())
        let (names, raw) = try contents(message, skipping: 5)
        #expect(names == ["y", "z"])
        #expect(raw == [[UInt8](repeating: 9, count: 300), []])
        var stream = try InferenceEncoder.streamMessage(
            response, allocator: ByteBufferAllocator())
        stream.moveReaderIndex(forwardBy: 5)
        try unsafe stream.withUnsafeReadableBytes { bytes in
            var reader = unsafe ProtobufReader(bytes)
            let field = try reader.next()
            let inner = try reader.range()
            #expect(field == 2)
            #expect(inner.count == message.readableBytes - 5)
            #expect(reader.isAtEnd)
        }
    }

    private func contents(
        _ message: ByteBuffer, skipping: Int
    ) throws -> (names: [String], raw: [[UInt8]]) {
        var names: [String] = []
        var raw: [[UInt8]] = []
        try unsafe message.withUnsafeReadableBytes { all in
            let bytes = unsafe UnsafeRawBufferPointer(rebasing: all[skipping...])
            var reader = unsafe ProtobufReader(bytes)
            while let field = try reader.next() {
                switch field {
                case 5:
                    var output = try reader.message()
                    while let field = try output.next() {
                        if field == 1 { names.append(try output.string()) }
                    }
                case 6: raw.append(unsafe Array(try reader.bytes()))
                default: break
                }
            }
        }
        return (names, raw)
    }
}
