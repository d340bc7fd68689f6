// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import MartletTesting
internal import Testing

/// Damaged inputs for every parser of this module: see `fuzz` for how long, and `Scripts/fuzz`.
@Suite("Format fuzzing")
struct FormatFuzzTests {
    @Test("the protobuf cursor survives any bytes")
    func protobuf() {
        var writer = ProtobufWriter()
        writer.message(1) { $0.packed(2, [1, 2, 3] as [Int64]) }
        writer.string(3, "text")
        writer.tag(4, .startGroup)
        writer.double(5, 1)
        writer.tag(4, .endGroup)
        func descend(_ reader: inout ProtobufReader) throws {
            while try reader.next() != nil {
                guard reader.wireType == .lengthDelimited, reader.remaining % 2 == 0 else {
                    continue
                }
                var inner = try reader.message()
                try? descend(&inner)
                var numbers: [Int64] = []
                if try reader.next() != nil { try reader.append(to: &numbers) }
            }
        }
        fuzz("protobuf", seeds: [writer.bytes, ModelBytes.example()]) { bytes in
            try unsafe bytes.withUnsafeBytes { bytes in
                var reader = unsafe ProtobufReader(bytes)
                try descend(&reader)
            }
        }
    }

    @Test("no model crashes the reader, and what is read can be decoded or refused")
    func onnx() {
        let files = ONNXExternalFiles(folder: "/nonexistent")
        let seeds = [ModelBytes.example(), ModelBytes.everything()]
        fuzz("onnx", seeds: seeds) { bytes in
            let model = try ONNXModel(ByteRegion(copying: bytes))
            for tensor in model.graph.initializers {
                if let elements = try? tensor.elements(in: files), tensor.dataType != .string {
                    #expect(elements.count == tensor.byteCount)
                }
            }
        }
    }

    @Test("no safetensors header crashes the reader or reaches past the file")
    func safetensors() {
        fuzz("safetensors", seeds: [SafetensorsBytes.example]) { bytes in
            let file = try SafetensorsFile(ByteRegion(copying: bytes))
            var end = 0
            for tensor in file.tensors { end += tensor.bytes.count }
            #expect(end <= bytes.count)
        }
    }

    @Test("no GGUF file crashes the reader or reaches past its end")
    func gguf() {
        fuzz("gguf", seeds: [GGUFBytes.example]) { bytes in
            let file = try GGUFFile(ByteRegion(copying: bytes))
            for tensor in file.tensors { #expect(tensor.bytes.count <= bytes.count) }
            for case .array(let array) in file.metadata.values {
                #expect(array.count <= bytes.count)
                _ = array.texts()
                _ = array.numbers()
            }
        }
    }

    @Test("no protobuf text crashes the parser")
    func pbtext() {
        fuzz("pbtext", seeds: [Array(PBTextTests.config.utf8)]) { bytes in
            for field in try PBTextMessage(parsing: bytes).fields {
                _ = try? field.int64()
                _ = try? field.double()
                _ = try? field.string()
            }
        }
    }

    @Test("no NumPy header crashes the reader")
    func npy() {
        let header = NPYHeader(typeCode: "f4", shape: [3, 4]).serialized()
        fuzz("npy", seeds: [header]) { bytes in
            let header = try NPYHeader(parsing: ByteRegion(copying: bytes))
            #expect(header.dataOffset <= bytes.count)
        }
    }
}
