// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import Testing

@Suite("JSONValue")
struct JSONValueTests {
    @Test(
        "accepts what RFC 8259 allows",
        arguments: [
            "null", " true ", "\tfalse\r\n", "0", "-0", "-1", "1.5", "1e3", "1E+3", "1e-3", "\"\"",
            "\"a\\u0041\\n\\/\"", "\"\\uD83D\\uDE00\"", "\"é漢😀\"", "[]", "[ ]", "{}", "{ }",
            "[1,2,3]", "[[],[[]]]", "{\"a\":1,\"a\":2}", "{\"\":0}", "{\"a\" : [ null ] }",
            "123456789012345678901234567890", "0.1e1", "[1e-2000]", "\"\u{7f}\"", "\"\\u0000\"",
            "20e1", "1E22", "-9223372036854775808", "[0,-0.0]",
        ])
    func accepts(text: String) throws {
        _ = try JSONValue(parsing: text)
    }

    @Test(
        "refuses what RFC 8259 forbids",
        arguments: [
            "", " ", "nul", "nulll", "truefalse", "True", "01", "-01", "+1", ".5", "1.", "1.e1",
            "1e", "1e+", "-", "--1", "0x1", "NaN", "Infinity", "-Infinity", "\"", "\"\\\"", "\"a",
            "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", "\"\\uD800\"", "\"\\uDC00\\uD800\"",
            "\"\\uD800\\u0041\"", "\"\n\"", "\"\t\"", "[", "]", "[1", "[1,", "[1,]", "[,1]",
            "[1 2]", "[1,,2]", "[1}", "{", "}", "{1:2}", "{a:1}", "{\"a\"}", "{\"a\":}",
            "{\"a\":1,}", "{,}", "{\"a\":1 \"b\":2}", "{\"a\":1]", "1 2", "{}{}", "[] x", "'a'",
            "/*c*/1", "\u{FEFF}1", "[1e400]", "1ea", "\u{00A0}1", "[1\u{2028}]", "2.e3", "1_000",
        ])
    func refuses(text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    }

    @Test(
        "refuses bytes that are not UTF-8",
        arguments: [
            [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80],
            [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xE2, 0x28, 0xA1],
        ] as [[UInt8]])
    func refusesBadText(bytes: [UInt8]) {
        let quoted = [UInt8(ascii: "\"")] + bytes + [UInt8(ascii: "\"")]
        #expect(throws: JSONError.self) { try JSONValue(parsing: quoted) }
        #expect(throws: JSONError.self) {
            try JSONValue(parsing: Array("\"seven77".utf8) + bytes + Array("more text\"".utf8))
        }
    }

    @Test("keeps members in order, the last of a repeated name, and finds them")
    func objects() throws {
        let value = try JSONValue(parsing: #"{"b":1,"a":[true,null],"b":2}"#)
        #expect(value.objectValue?.keys == ["b", "a"])
        #expect(value["b"]?.intValue == 2)
        #expect(value["a"]?[1]?.isNull == true)
        var many = JSONObject()
        for index in 0..<50 { many["k\(index)"] = .integer(Int64(index)) }
        #expect(many["k37"]?.intValue == 37)
        many["k37"] = nil
        #expect(many["k37"] == nil)
        #expect(many["k49"]?.intValue == 49)
        #expect(many.count == 49)
    }

    @Test("resolves escapes")
    func escapes() throws {
        let value = try JSONValue(parsing: #""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00x""#)
        #expect(value.stringValue == "\"\\/\u{8}\u{c}\n\r\té😀x")
        let lenient = JSONLimits(loneSurrogates: .replace)
        #expect(
            try JSONValue(parsing: #""a\uD800b\uDC00""#, limits: lenient).stringValue
                == "a\u{FFFD}b\u{FFFD}")
    }

    @Test("says where the error is")
    func location() {
        let error = #expect(throws: JSONError.self) {
            try JSONValue(parsing: "{\n  \"a\": 1,\n  \"b\" 2\n}")
        }
        #expect(error?.line == 3)
        #expect(error?.column == 7)
        #expect(error?.message == "line 3, column 7: expected ':', found '2'")
    }

    @Test("bounds depth, strings and numbers")
    func limits() {
        let deep = String(repeating: "[", count: 200_000)
        #expect(throws: JSONError.self) { try JSONValue(parsing: deep) }
        var scanner: JSONError.Code?
        do { _ = try JSONValue(parsing: deep) } catch { scanner = error.code }
        #expect(scanner == .limitExceeded)
        #expect(throws: JSONError.self) {
            try JSONValue(parsing: "\"abcdef\"", limits: JSONLimits(stringBytesMax: 5))
        }
        #expect(throws: JSONError.self) {
            try JSONValue(parsing: "1" + String(repeating: "0", count: 2000) + "e-2000")
        }
        let allowed = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
        #expect(throws: Never.self) { try JSONValue(parsing: allowed) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: "[" + allowed + "]") }
    }

    @Test("writes what it reads")
    func roundTrip() throws {
        let text = #"{"a":[1,-2,3.5,1e-07,"q\"\\\n\u0001é",true,null,{}],"b":{"c":[]},"d":1e300}"#
        let value = try JSONValue(parsing: text)
        let again = try JSONValue(parsing: value.serialized())
        #expect(again == value)
        #expect(
            value.description
                == #"{"a":[1,-2,3.5,1e-7,"q\"\\\n\u0001é",true,null,{}],"b":{"c":[]},"d":1e300}"#)
    }
}
