// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletHTTP
internal import MartletJSON
internal import MartletTesting
internal import Testing

@Suite("Answers taken apart")
struct AnswerParserTests {
    /// What came of an answer.
    private struct Taken: Equatable {
        var content = ""
        var reasoning = ""
        var calls: [String] = []
        var arguments: [String] = []
    }

    private static func wishes(_ tools: ToolChoice = .auto) -> AnswerWishes {
        var wishes = AnswerWishes(model: "m")
        wishes.tools = tools
        wishes.toolNames = ["get_weather", "get"]
        wishes.toolParameters = [
            "get_weather": [
                "properties": ["city": ["type": "string"], "days": ["type": "integer"]]
            ]
        ]
        return wishes
    }

    /// - Parameter size: characters that come at a time.
    private static func take(
        _ text: String, _ wishes: AnswerWishes = wishes(), size: Int = 1
    ) -> (taken: Taken, parts: [AnswerPart]) {
        var parser = AnswerParser(wishes)
        var parts: [AnswerPart] = []
        var rest = text.unicodeScalars[...]
        while !rest.isEmpty {
            parts += parser.append(String(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        parts += parser.finish()
        var taken = Taken()
        for part in parts {
            switch part {
            case .content(let text): taken.content += text
            case .reasoning(let text): taken.reasoning += text
            case .call(_, _, let name):
                taken.calls.append(name)
                taken.arguments.append("")
            case .arguments(let index, let text): taken.arguments[index] += text
            }
        }
        return (taken, parts)
    }

    private static let arguments = #"{"city": "Kraków", "x": [1.10, 12345678901234567890]}"#
    private static let call = #"{"name": "get_weather", "arguments": \#(arguments)}"#

    private static let forms = [
        "<tool_call>\n\(call)\n</tool_call>", "[TOOL_CALLS] [\(call)]",
        "[TOOL_CALLS]get_weather[ARGS]\(arguments)", "[TOOL_CALLS]get_weather\(arguments)",
        "[TOOL_CALLS]get_weather[CALL_ID]123456789[ARGS]\(arguments)", call,
        "<|python_tag|>\(call)", "<function=get_weather>\(arguments)</function>",
        "<|tool_call|>[\(call)]<|/tool_call|>", "[\(call)]", "\n\n\(call)",
        #"{"name": "get_weather", "parameters": \#(arguments)}"#,
        #"{"type": "function", "name": "get_weather", "parameters": \#(arguments)}"#,
        #"{"arguments": \#(arguments), "name": "get_weather"}"#,
        #"<tool_call>{"id": 1, "function": \#(call)}</tool_call>"#,
        "<tool_call>\n\(call)", "[TOOL_CALLS][\(call)",
    ]

    @Test(
        "each family's form of a call is read, its arguments as they are written", arguments: forms)
    func families(text: String) {
        for size in [1, 3, 1000] {
            let (taken, parts) = Self.take(text, size: size)
            #expect(taken.calls == ["get_weather"], "\(text) by \(size)")
            #expect(taken.arguments == [Self.arguments], "\(text) by \(size)")
            #expect(taken.content.isEmpty && taken.reasoning.isEmpty, "\(text) by \(size)")
            #expect(parts.count { if case .call = $0 { true } else { false } } == 1)
        }
    }

    @Test("Qwen3-Coder's parameters become an object by the tool's schema")
    func markup() throws {
        let text = """
            <tool_call>
            <function=get_weather>
            <parameter=city>
            12 "Main" Street
            </parameter>
            <parameter=days>
            3
            </parameter>
            </function>
            </tool_call>
            """
        for size in [1, 7, 1000] {
            let taken = Self.take(text, size: size).taken
            #expect(taken.calls == ["get_weather"] && taken.content.isEmpty)
            let value = try JSONValue(parsing: taken.arguments.first ?? "")
            #expect(value == ["city": "12 \"Main\" Street", "days": 3], "\(taken)")
        }
        let none = "<tool_call><function=get></function></tool_call>"
        #expect(Self.take(none).taken.arguments == ["{}"])
    }

    private static let repeated = [
        "<tool_call>\n\(call)\n</tool_call>\n<tool_call>\n\(call)\n</tool_call>",
        "[TOOL_CALLS][\(call), \(call)]", "\(call); \(call)",
        "[TOOL_CALLS]get_weather[ARGS]\(arguments)[TOOL_CALLS]get_weather[ARGS]\(arguments)",
        "<function=get_weather>\(arguments)</function><function=get_weather>\(arguments)</function>",
    ]

    @Test("several calls are several, and one where no more are wanted", arguments: repeated)
    func severalCalls(text: String) {
        for size in [1, 1000] {
            let both = Self.take(text, size: size).taken
            #expect(both.calls.count == 2, "\(text)")
            #expect(both.arguments == [Self.arguments, Self.arguments], "\(text)")
            var wishes = Self.wishes()
            wishes.callsInParallel = false
            let one = Self.take(text, wishes, size: size).taken
            #expect(one.calls.count == 1 && one.arguments == [Self.arguments], "\(text)")
        }
    }

    @Test("a call's name comes before its arguments are there, and they come in pieces")
    func streaming() {
        for wishes in [Self.wishes(), Self.wishes(.required)] {
            var parser = AnswerParser(wishes)
            var parts = parser.append(#"{"name": "get_weather", "arguments": {"city": "Ro"#)
            guard case .call(0, _, "get_weather")? = parts.first else {
                Issue.record("no call in \(parts)")
                return
            }
            #expect(parts.dropFirst() == [.arguments(index: 0, #"{"city": "Ro"#)])
            parts = parser.append(#"me"}"#)
            #expect(parts == [.arguments(index: 0, #"me"}"#)])
            #expect(parser.append("}").isEmpty && parser.finish().isEmpty)
        }
    }

    private static let plain = [
        #"{"name": "get_weather", "arg"#, #"{"a": 1}"#, "[1, 2] and more", "{}", "plain",
        #"{"name": "Bob", "age": 3}"#,
        "<function=other>{}</function>", "[link](x)", "{not json", "a < b, [TOOL", "[]",
    ]

    @Test("what is no call is content, every byte of it", arguments: plain)
    func content(text: String) {
        for size in [1, 1000] {
            let taken = Self.take(text, size: size).taken
            #expect(taken.content == text && taken.calls.isEmpty, "\(text): \(taken)")
        }
    }

    @Test("an object that is no call is handed on before it ends")
    func early() {
        var parser = AnswerParser(Self.wishes())
        let parts = parser.append(#"{"answer": 4"#)
        let text = parts.map { if case .content(let text) = $0 { text } else { "" } }.joined()
        #expect(text == #"{"answer": 4"#)
    }

    @Test("reasoning that the prompt opened is reasoning from the first character")
    func opened() {
        let wishes = Self.wishes(.none)
        wishes.opening.read("user: hi\nassistant: <think>\n")
        let taken = Self.take("I think so\n</think>\n\nAnswer", wishes).taken
        #expect(taken.reasoning == "I think so\n" && taken.content == "Answer")
        let closed = Self.wishes(.none)
        closed.opening.read("assistant: <think>\n\n</think>\n\n")
        #expect(Self.take("Answer", closed).taken.content == "Answer")
    }

    @Test("calls may follow text and reasoning")
    func mixed() {
        let taken = Self.take(
            "<think>\nhm</think>\n\nLet me look.\n<tool_call>\(Self.call)</tool_call>"
        ).taken
        #expect(taken.reasoning == "\nhm" && taken.content == "Let me look.\n")
        #expect(taken.arguments == [Self.arguments])
    }

    @Test("any answer is taken apart, whatever its pieces are")
    func anything() {
        let seeds = (Self.forms + Self.repeated + Self.plain).map { Array($0.utf8) }
        fuzz("answers", seeds: seeds, sizeMax: 512) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            let whole = Self.take(text, size: 10_000).taken
            let pieces = Self.take(text, size: 1).taken
            #expect(whole == pieces, "\(text)")
        }
    }
}
