// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletFormats
internal import Testing

@Suite("ONNX tensors")
struct ONNXTensorTests {
    /// The only initialiser of a model made of this tensor.
    func tensor(_ body: (inout ProtobufWriter) -> Void) throws -> ONNXTensor {
        let bytes = ModelBytes.model { graph in graph.message(5) { body(&$0) } }
        let model = try ONNXModel(ByteRegion(copying: bytes))
        return try #require(model.graph.initializers.first)
    }

    func elements(_ body: (inout ProtobufWriter) -> Void) throws -> [UInt8] {
        try tensor(body).elements(in: ONNXExternalFiles(folder: nil)).copied()
    }

    func header(_ writer: inout ProtobufWriter, _ type: ONNXDataType, _ dimensions: [Int64]) {
        writer.packed(1, dimensions)
        writer.int64(2, Int64(type.rawValue))
        writer.string(8, "t")
    }

    func code(_ body: (inout ProtobufWriter) -> Void) -> FormatError.Code? {
        let error = #expect(throws: FormatError.self) { try elements(body) }
        return error?.code
    }

    @Test(
        "int32_data holds every small type",
        arguments: [
            (ONNXDataType.int32, [1, -2], [1, 0, 0, 0, 254, 255, 255, 255]),
            (.int8, [1, -2], [1, 254]), (.uint8, [1, 255], [1, 255]),
            (.int16, [1, -2], [1, 0, 254, 255]), (.uint16, [1, 65535], [1, 0, 255, 255]),
            (.bool, [0, 5], [0, 1]), (.float16, [0x3C00, 0xC000], [0, 0x3C, 0, 0xC0]),
            (.bfloat16, [0x3F80, 0], [0x80, 0x3F, 0, 0]),
            (.float8E4M3FN, [0x38, 0xC0], [0x38, 0xC0]),
        ] as [(ONNXDataType, [Int32], [UInt8])])
    func smallTypes(type: ONNXDataType, values: [Int32], expected: [UInt8]) throws {
        let packed = try elements { writer in
            header(&writer, type, [2])
            writer.packed(5, values)
        }
        #expect(packed == expected)
        let single = try elements { writer in
            header(&writer, type, [2])
            for value in values { writer.int64(5, Int64(value)) }
        }
        #expect(single == expected)
    }

    @Test("types below a byte keep their packing")
    func packedTypes() throws {
        let nibbles = try elements { writer in
            header(&writer, .int4, [3])
            writer.packed(5, [0x21, 0x03] as [Int32])
        }
        #expect(nibbles == [0x21, 0x03])
        let pairs = try elements { writer in
            header(&writer, .uint2, [5])
            writer.bytes(9, [0xE4, 0x01])
        }
        #expect(pairs == [0xE4, 0x01])
        #expect(ONNXDataType.float6E2M3.byteCount(elements: 5) == 4)
        #expect(ONNXDataType.int64.byteCount(elements: .max) == nil)
        #expect(ONNXDataType.uint8.byteCount(elements: .max) == .max)
        #expect(ONNXDataType.uint4.byteCount(elements: .max) == nil)
    }

    @Test("the wider data fields hold their types")
    func wideTypes() throws {
        let floats = try elements { writer in
            header(&writer, .float32, [2])
            writer.packed(4, [1] as [Float])
            writer.float(4, 2)
        }
        #expect(floats == [0, 0, 128, 63, 0, 0, 0, 64])
        let longs = try elements { writer in
            header(&writer, .int64, [1])
            writer.packed(7, [-1] as [Int64])
        }
        #expect(longs == [UInt8](repeating: 255, count: 8))
        let doubles = try elements { writer in
            header(&writer, .float64, [1])
            writer.packed(10, [1] as [Double])
        }
        #expect(doubles == [0, 0, 0, 0, 0, 0, 240, 63])
        let words = try elements { writer in
            header(&writer, .uint32, [1])
            writer.packed(11, [0xFFFF_FFFF] as [UInt64])
        }
        #expect(words == [255, 255, 255, 255])
        let complex = try elements { writer in
            header(&writer, .complex64, [1])
            writer.packed(4, [1, 2] as [Float])
        }
        #expect(complex == floats)
    }

    @Test("strings come one by one and in the protocol's layout; scalars and empty shapes work")
    func others() throws {
        let words = try tensor { writer in
            header(&writer, .string, [2])
            writer.string(6, "ab")
            writer.string(6, "")
        }
        #expect(try words.strings() == [Array("ab".utf8), []])
        let bytes = try words.elements(in: ONNXExternalFiles(folder: nil)).copied()
        #expect(bytes == [2, 0, 0, 0, 97, 98, 0, 0, 0, 0])
        let scalar = try elements { writer in
            header(&writer, .uint8, [])
            writer.bytes(9, [7])
        }
        #expect(scalar == [7])
        #expect(try elements { header(&$0, .float32, [0, 5]) } == [])
    }

    @Test("data that does not fit its shape is refused")
    func lies() {
        #expect(code { header(&$0, .float32, [1]) } == .missing)
        #expect(code { header(&$0, .undefined, [0]) } == .missing)
        #expect(code { header(&$0, .float32, [-1]) } == .malformed)
        #expect(code { header(&$0, .float32, [.max, 2]) } == .limitExceeded)
        #expect(
            code { writer in
                header(&writer, .float32, [2])
                writer.bytes(9, [0, 0, 0, 0])
            } == .malformed)
        #expect(
            code { writer in
                header(&writer, .string, [1])
                writer.bytes(9, [0])
            } == .malformed)
        #expect(
            code { writer in
                header(&writer, .float32, [1])
                writer.packed(7, [1] as [Int64])
            } == .malformed)
        #expect(
            code { writer in
                header(&writer, .uint8, [1])
                writer.packed(5, [1] as [Int32])
                writer.bytes(9, [1])
            } == .malformed)
        // A shape that asks for far more memory than the file could fill.
        #expect(
            code { writer in
                header(&writer, .int64, [1 << 40])
                writer.packed(7, [1] as [Int64])
            } == .malformed)
        for count in [1, 3] {
            #expect(
                code { writer in
                    header(&writer, .int64, [2])
                    writer.packed(7, [Int64](repeating: 1, count: count))
                } == .malformed)
        }
        #expect(
            code { writer in
                writer.int64(2, 99)
                writer.bytes(9, [0])
            } == .unsupported)
    }

    @Test("external data is mapped from the model's folder, inside its file")
    func external() throws {
        let folder = try ModelFolder()
        folder.write("weights.bin", Array(0..<32))
        let files = ONNXExternalFiles(folder: folder.path)
        let whole = try tensor {
            ModelBytes.externalTensor(&$0, location: "weights.bin", offset: "8", length: "4")
        }
        #expect(try whole.elements(in: files).copied() == [8, 9, 10, 11])
        #expect(whole.rawBytes == nil)
        let cases: [(String, String?, String?, Int64, FormatError.Code)] = [
            ("weights.bin", "30", nil, 4, .outOfBounds),
            ("weights.bin", nil, "5", 4, .malformed),
            ("weights.bin", "9223372036854775807", nil, 4, .outOfBounds),
            ("missing.bin", nil, nil, 4, .unreadable),
            ("out.bin", nil, nil, 4, .outOfBounds),
            ("../\(folder.name)/weights.bin", nil, nil, 4, .outOfBounds),
            ("/etc/hostname", nil, nil, 4, .outOfBounds),
            ("", nil, nil, 4, .outOfBounds),
            ("weights.bin", "-1", nil, 4, .malformed),
            ("weights.bin", "x", nil, 4, .malformed),
        ]
        folder.link("out.bin", to: "/etc/passwd")
        for (location, offset, length, count, expected) in cases {
            let error = #expect(throws: FormatError.self, "\(location)") {
                let tensor = try tensor {
                    ModelBytes.externalTensor(
                        &$0, location: location, offset: offset, length: length, count: count)
                }
                _ = try tensor.elements(in: files)
            }
            #expect(error?.code == expected, "\(location)")
        }
        #expect(throws: FormatError.self) {
            try whole.elements(in: ONNXExternalFiles(folder: nil))
        }
    }
}

/// A new folder that goes away with this object.
final class ModelFolder: Sendable {
    let path: String
    private let names = ["weights.bin", "out.bin", "a.safetensors", "b.safetensors"]

    init() throws {
        var template = Array("/tmp/martlet-test-XXXXXX".utf8CString)
        let isMade = unsafe mkdtemp(&template) != nil
        try #require(isMade)
        path = String(
            decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    var name: String { String(path.dropFirst("/tmp/".count)) }

    deinit {
        for name in names + ["model.safetensors.index.json"] {
            _ = unsafe unlink(path + "/" + name)
        }
        _ = unsafe rmdir(path)
    }

    func write(_ name: String, _ bytes: [UInt8]) {
        guard let file = unsafe fopen(path + "/" + name, "wb") else {
            Issue.record("cannot write \(name)")
            return
        }
        _ = unsafe fwrite(bytes, 1, bytes.count, file)
        _ = unsafe fclose(file)
    }

    func link(_ name: String, to target: String) {
        #expect(unsafe symlink(target, path + "/" + name) == 0)
    }
}
