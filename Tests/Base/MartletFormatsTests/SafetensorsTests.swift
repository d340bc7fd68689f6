// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import Testing

/// Builds safetensors files, well-formed or not.
enum SafetensorsBytes {
    static func file(header: String, data: [UInt8], announced: UInt64? = nil) -> [UInt8] {
        let text = Array(header.utf8)
        let size = announced ?? UInt64(text.count)
        let prefix = (0..<8).map { UInt8(truncatingIfNeeded: size >> (8 * UInt64($0))) }
        return prefix + text + data
    }

    static let example = file(
        header: """
            {"__metadata__":{"format":"pt"},\
            "b":{"dtype":"I64","shape":[1],"data_offsets":[16,24]},\
            "a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},\
            "scalar":{"dtype":"BF16","shape":[],"data_offsets":[24,26]},\
            "none":{"dtype":"U8","shape":[0,3],"data_offsets":[26,26]}}
            """,
        data: Array(0..<26))
}

@Suite("safetensors files")
struct SafetensorsTests {
    func open(_ bytes: [UInt8]) throws -> SafetensorsFile {
        try SafetensorsFile(ByteRegion(copying: bytes))
    }

    func code(_ bytes: [UInt8]) -> FormatError.Code? {
        let error = #expect(throws: FormatError.self) { try open(bytes) }
        return error?.code
    }

    @Test("tensors, types, shapes and metadata are read in place")
    func example() throws {
        let file = try open(SafetensorsBytes.example)
        #expect(file.tensors.map(\.name) == ["a", "b", "scalar", "none"])
        #expect(file.metadata == ["format": "pt"])
        let tensor = try #require(file["b"])
        #expect(tensor.dataType == .int64)
        #expect(tensor.dimensions == [1])
        #expect(tensor.bytes.copied() == Array(16..<24))
        #expect(file["scalar"]?.elementCount == 1)
        #expect(file["none"]?.bytes.isEmpty == true)
        #expect(file["missing"] == nil)
    }

    @Test("a header that lies about its length is refused")
    func headerLengths() {
        #expect(code([1, 2, 3]) == .truncated)
        #expect(code(SafetensorsBytes.file(header: "{}", data: [], announced: 3)) == .truncated)
        #expect(
            code(SafetensorsBytes.file(header: "{}", data: [], announced: .max)) == .limitExceeded)
        #expect(code(SafetensorsBytes.file(header: "", data: [])) == .malformed)
        #expect(code(SafetensorsBytes.file(header: "{}", data: [0])) == .malformed)
    }

    @Test(
        "an entry that does not fit its data is refused",
        arguments: [
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,5]}}"#,
                FormatError.Code.malformed
            ),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, .malformed),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, .malformed),
            (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, .malformed),
            (
                #"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#,
                .malformed
            ),
            (#"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#, .unsupported),
            (#"{"a":{"dtype":"F32","shape":[1]}}"#, .malformed),
            (#"{"a":{"dtype":"F32","shape":[1e30],"data_offsets":[0,4]}}"#, .malformed),
            (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#, .outOfBounds),
            (
                #"{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"#
                    + #""b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
                .malformed
            ),
            (
                #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"#
                    + #""a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
                .malformed
            ),
            (#"{"a":{"dtype":"U8","shape":[[[[[[8]]]]]],"data_offsets":[0,8]}}"#, .malformed),
            (#"{"a":"#, .malformed),
            (#"[]"#, .malformed),
        ])
    func entries(header: String, expected: FormatError.Code) {
        #expect(code(SafetensorsBytes.file(header: header, data: Array(0..<8))) == expected)
    }

    @Test("a sharded model is read through its index, which must tell the truth")
    func shards() throws {
        let folder = try ModelFolder()
        let entry = #"":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#
        folder.write(
            "a.safetensors", SafetensorsBytes.file(header: #"{"x"# + entry, data: [1, 2]))
        folder.write(
            "b.safetensors", SafetensorsBytes.file(header: #"{"y"# + entry, data: [3, 4]))
        func index(_ map: String) {
            folder.write("model.safetensors.index.json", Array(#"{"weight_map":\#(map)}"#.utf8))
        }
        index(#"{"x":"a.safetensors","y":"b.safetensors"}"#)
        let model = try SafetensorsModel(path: folder.path)
        #expect(model.names == ["x", "y"])
        #expect(model["y"]?.bytes.copied() == [3, 4])
        #expect(model["z"] == nil)
        let lies = [
            (#"{"x":"b.safetensors"}"#, FormatError.Code.missing),
            (#"{"x":"../a.safetensors"}"#, .outOfBounds),
            (#"{"x":"/etc/passwd"}"#, .outOfBounds),
            (#"{"x":1}"#, .malformed), ("[]", .malformed), ("{", .malformed),
        ]
        for (map, expected) in lies {
            index(map)
            let error = #expect(throws: FormatError.self, "\(map)") {
                try SafetensorsModel(path: folder.path)
            }
            #expect(error?.code == expected, "\(map)")
        }
    }
}
