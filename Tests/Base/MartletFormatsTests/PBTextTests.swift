// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import Testing

@Suite("Protobuf text")
struct PBTextTests {
    static let config = """
        # A Triton model.
        name: "resnet"  platform: 'onnxruntime' "_onnx"
        max_batch_size: 8;
        input [
          { name: "x" data_type: TYPE_FP32 dims: [ 3, -1, 0x10 ] },
          { name: "y", dims: 07 dims: 2 }
        ]
        dynamic_batching { preferred_batch_size: [4, 8] max_queue_delay_microseconds: 100 }
        parameters < key: "rate" value: { string_value: "a\\n\\x41\\101\\u00e9\\"" } >
        instance_group: [ ]
        optimization: { priority: PRIORITY_MAX weight: - 1.5e-3 big: inf small: -inf half: .5f }
        enabled: true
        """

    @Test("a Triton configuration is read with its places")
    func config() throws {
        let message = try PBTextMessage(parsing: Self.config)
        #expect(try message.last("name")?.string() == "resnet")
        #expect(try message.last("platform")?.string() == "onnxruntime_onnx")
        #expect(try message.last("max_batch_size")?.int32() == 8)
        let inputs = try message.all("input").map { try $0.message() }
        #expect(inputs.count == 2)
        #expect(try inputs[0].all("dims").map { try $0.int64() } == [3, -1, 16])
        #expect(try inputs[1].all("dims").map { try $0.int64() } == [7, 2])
        #expect(try inputs[0].last("data_type")?.word() == "TYPE_FP32")
        let batching = try #require(try message.last("dynamic_batching")?.message())
        #expect(try batching.all("preferred_batch_size").map { try $0.uint32() } == [4, 8])
        let value = try message.last("parameters")?.message().last("value")?.message()
        #expect(try value?.last("string_value")?.string() == "a\nAA\u{e9}\"")
        #expect(message.all("instance_group").isEmpty)
        let optimization = try #require(try message.last("optimization")?.message())
        #expect(try optimization.last("weight")?.double() == -1.5e-3)
        #expect(try optimization.last("big")?.double() == .infinity)
        #expect(try optimization.last("small")?.double() == -.infinity)
        #expect(try optimization.last("half")?.double() == 0.5)
        #expect(try message.last("enabled")?.bool() == true)
        #expect(message.last("max_batch_size")?.line == 3)
        #expect(message.last("platform")?.column == 17)
    }

    @Test(
        "what is no text form is refused with its place",
        arguments: [
            ("name", "line 1, column 5"), ("name: ", "line 1, column 7"),
            ("a: 1\nb: }", "line 2, column 4"), ("a {", "line 1, column 4"),
            ("a { b: 1 >", "line 1, column 10"), ("a: \"x", "line 1, column 6"),
            ("a: \"x\ny\"", "line 1, column 6"), ("a: [1 2]", "line 1, column 7"),
            ("a: [1,", "line 1, column 7"), ("a: \"\\q\"", "line 1, column 6"),
            ("a: \"\\777\"", "line 1"), ("a: \"\\uD800\"", "line 1"), ("a: 1x", "line 1"),
            ("a: 99999999999999999999", "line 1"), ("a: -b", "line 1"), ("a: 08", "line 1"),
            ("5: 1", "line 1, column 1"), ("a b", "line 1, column 3"), ("[]: 1", "line 1"),
        ])
    func malformed(text: String, place: String) {
        let error = #expect(throws: FormatError.self) { try PBTextMessage(parsing: text) }
        #expect(error?.message.hasPrefix(place) == true, "\(String(describing: error))")
    }

    @Test("a value of another kind is refused by name")
    func kinds() throws {
        let message = try PBTextMessage(parsing: "a: \"x\"\nb: -1 c: 9223372036854775808 d { }")
        #expect(throws: FormatError.self) { try message.fields[0].int64() }
        #expect(throws: FormatError.self) { try message.fields[1].uint64() }
        #expect(throws: FormatError.self) { try message.fields[2].int64() }
        let error = #expect(throws: FormatError.self) { try message.fields[3].string() }
        #expect(
            error?.message == "line 2, column 30: field 'd' expected a string, got a message")
    }

    @Test("nesting and size are bounded")
    func bounds() {
        let deep = String(repeating: "a{", count: 100_000)
        let error = #expect(throws: FormatError.self) { try PBTextMessage(parsing: deep) }
        #expect(error?.code == .limitExceeded)
        var limits = PBTextLimits()
        limits.sizeMax = 10
        #expect(throws: FormatError.self) {
            try PBTextMessage(parsing: "name: \"resnet\"", limits: limits)
        }
    }
}
