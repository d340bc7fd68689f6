// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import Testing

@Suite("MemberScanner")
struct MemberScannerTests {
    private func scan(_ text: String, pieces: Int = 1, names: [StaticString]) -> MemberScanner {
        var scanner = MemberScanner(names: names)
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let end = min(start + max(pieces, 1), bytes.count)
            unsafe Array(bytes[start..<end]).withUnsafeBytes { unsafe scanner.read($0) }
            start = end
        }
        return scanner
    }

    @Test("finds members wherever the text is cut")
    func pieces() {
        let text =
            #"{"messages": [{"role":"user","content":"model: \"x\", {["}], "model" : "gpt-1","#
            + #""stream":true , "max_tokens": 12,"user":"\u00e9"}"#
        for size in 1...text.utf8.count {
            let found = scan(
                text, pieces: size, names: ["model", "stream", "max_tokens", "user", "n"])
            #expect(found.members[0]?.string == "gpt-1")
            #expect(found.members[1]?.isTrue == true)
            #expect(found.members[2]?.count == 12)
            #expect(found.members[3]?.string == "é")
            #expect(found.members[4] == nil)
            #expect(found.isComplete)
            let range = found.members[0]?.range ?? 0..<0
            #expect(Array(text.utf8)[range].elementsEqual(#""gpt-1""#.utf8))
        }
    }

    @Test("nested members of the same name are not taken")
    func nested() {
        let found = scan(
            #"{"a":{"model":"inner"},"b":["model",{"model":"x"}],"model":"outer"}"#,
            names: ["model"])
        #expect(found.members[0]?.string == "outer")
        #expect(!found.hasDuplicate)
    }

    @Test("a member that comes twice is told of, also when its name is escaped")
    func duplicates() {
        for size in 1...40 {
            func found(_ text: String) -> MemberScanner {
                scan(text, pieces: size, names: ["model"])
            }
            #expect(found(#"{"model":"a","model":"b"}"#).hasDuplicate)
            #expect(found(#"{"model":"a","mod\u0065l":"b"}"#).hasDuplicate)
            #expect(found(#"{"mod\u0065l":"b"}"#).members[0]?.string == "b")
            #expect(
                found(#"{"mod\u0065l":"b","other":"a string that is longer"}"#)[0]?.string == "b")
        }
    }

    @Test("agrees with the parser on random documents")
    func random() throws {
        for seed in 0..<400 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let document = makeObject(depth: 3, &random)
            let text = JSONValue.object(document).serialized()
            let found = scan(
                String(decoding: text, as: UTF8.self),
                pieces: Int.random(in: 1...40, using: &random), names: ["a", "b", "model"])
            for (index, name) in ["a", "b", "model"].enumerated() {
                #expect(found.members[index]?.json == document[name], "seed \(seed)")
            }
        }
    }

    private func makeObject(depth: Int, _ random: inout SeededRandom) -> JSONObject {
        var object = JSONObject()
        for name in ["a", "b", "model", "c\\\"", "}"] where Bool.random(using: &random) {
            object[name] = makeValue(depth: depth - 1, &random)
        }
        return object
    }

    private func makeValue(depth: Int, _ random: inout SeededRandom) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &random) {
        case 0: return .integer(Int64.random(in: -9...9999, using: &random))
        case 1:
            return .string(["", "x", "\"}],{", "\\", "é\n"].randomElement(using: &random) ?? "")
        case 2: return .bool(Bool.random(using: &random))
        case 3: return .null
        case 4: return .number(1.5)
        case 5:
            return .array(
                (0..<Int.random(in: 0..<3, using: &random)).map { _ in
                    makeValue(depth: depth - 1, &random)
                })
        default: return .object(makeObject(depth: depth - 1, &random))
        }
    }

    @Test("a text that is there whole is read from its end, with the same result")
    func whole() throws {
        for seed in 0..<2_000 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var document = makeObject(depth: 3, &random)
            var inner = JSONObject()
            inner["usage"] = makeValue(depth: 2, &random)
            if Bool.random(using: &random) { document["choices"] = .array([.object(inner)]) }
            if Bool.random(using: &random) { document["text"] = .string(#","usage":{"x":1}}"#) }
            if Bool.random(using: &random) { document["usage"] = makeValue(depth: 3, &random) }
            if Bool.random(using: &random) { document["last"] = .object(inner) }
            if Bool.random(using: &random) { document["end"] = makeValue(depth: 1, &random) }
            var text = JSONValue.object(document).serialized()
            if Bool.random(using: &random) {
                text = Array(
                    String(decoding: text, as: UTF8.self)
                        .replacing("\"usage\":", with: "\"usage\" :\n ").utf8)
                text += Array(" \r\n".utf8)
            }
            var scanner = MemberScanner(names: ["usage"])
            unsafe text.withUnsafeBytes { unsafe scanner.readWhole($0) }
            let found = scanner.members[0]
            #expect(found?.json == document["usage"], "seed \(seed)")
            #expect(scanner.isComplete, "seed \(seed)")
            if let found { #expect(Array(text[found.range]) == found.text, "seed \(seed)") }
        }
    }

    @Test(
        "a text that ends strangely is read from its beginning",
        arguments: [
            (#"{"usage":{"a":1}}"#, true), (#"{"x":1,"usage":{"a":1},"b":{"usage":{}}}"#, true),
            (#"{"x":{"usage":{"a":1}}}"#, false), (#"{"x\"usage":{"a":1}}"#, false),
            (#"{"x":1,"usage":{"a":1}} x"#, true), (#"{"x":1,"usage":{"a":1}"#, true),
            (#"{"us\u0061ge":{"a":1},"x":{}}"#, true), (#"usage":{"a":1}}"#, false),
            (#""usage":{"a":1}}"#, false), ("{", false), ("", false),
        ])
    func strange(text: String, isFound: Bool) {
        var scanner = MemberScanner(names: ["usage"])
        unsafe Array(text.utf8).withUnsafeBytes { unsafe scanner.readWhole($0) }
        #expect(scanner.members[0]?.json == (isFound ? ["a": 1] : nil))
    }

    @Test("text that is no object finds nothing")
    func garbage() {
        for text in ["", "[1]", "null", "x{\"model\":1}", "{model:1}", "{\"model\"}"] {
            #expect(scan(text, names: ["model"]).members[0] == nil)
        }
    }
}

@Suite("RequestMembers")
struct RequestMembersTests {
    @Test("the most output tokens are the limit times the number of answers")
    func outputTokens() {
        func members(_ text: String) -> RequestMembers {
            var members = RequestMembers()
            unsafe Array(text.utf8).withUnsafeBytes { unsafe members.read($0) }
            return members
        }
        #expect(members(#"{"max_tokens":100,"n":3}"#).outputTokensMax == 300)
        #expect(members(#"{"max_completion_tokens":7,"max_tokens":100}"#).outputTokensMax == 100)
        #expect(members(#"{"max_tokens":999999999999,"n":999999999999}"#).outputTokensMax == .max)
        #expect(members(#"{"max_output_tokens":5000}"#).outputTokensMax == 5000)
        #expect(members(#"{"max_tokens":10,"n":2,"best_of":5}"#).outputTokensMax == 50)
        #expect(members("{}").outputTokensMax == nil)
    }

    @Test("a limit counts however it is written, and one without an end is the largest")
    func writtenOtherwise() {
        func limit(_ value: String) -> Int? {
            var members = RequestMembers()
            let text = "{\"max_tokens\":\(value)}"
            unsafe Array(text.utf8).withUnsafeBytes { unsafe members.read($0) }
            return members.outputTokensMax
        }
        for value in ["2000", "2000.0", "2e3", "\"2000\"", "1999.5"] {
            #expect(limit(value) == 2_000, "\(value)")
        }
        let endless = [
            "9223372036854775807", "9223372036854775808", "1e30", "1e400", "-1", "-0.5",
            String(repeating: "9", count: 40), String(repeating: "9", count: 20_000),
        ]
        for value in endless { #expect(limit(value) == .max, "\(value)") }
        for value in ["null", "true", "\"\"", "\"x\"", "\"nan\"", "[1]", "{}"] {
            #expect(limit(value) == nil, "\(value)")
        }
        #expect(limit("0") == 0)
    }
}
