// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletLanguage

/// Takes an answer apart as it comes: reasoning between `<think>` marks, calls of tools in the
/// families' forms (`<tool_call>` of Qwen and Hermes, `[TOOL_CALLS]` of Mistral, a bare object of
/// Llama), and the rest as its content.
struct AnswerParser: Sendable {
    private enum Place { case start, content, reasoning, call, list, bare, forced }

    private let parsesTools: Bool
    private let toolNames: [String]
    private var place = Place.start
    private var finder = MarkFinder()
    private var collected = ""
    private var callCount = 0
    /// The tool whose arguments the whole answer is.
    private var forced = ""
    private var lastWasMark = false

    private static let think = "<think>"
    private static let thinkEnd = "</think>"
    private static let call = "<tool_call>"
    private static let callEnd = "</tool_call>"
    private static let list = "[TOOL_CALLS]"
    /// What is collected of a call before it is read; beyond, it is plain content.
    private static let callBytesMax = 1 << 20

    init(_ wishes: AnswerWishes, _ language: LanguageText) {
        parsesTools = wishes.tools != .none
        toolNames = wishes.toolNames
        switch wishes.tools {
        case .named(let name):
            place = .forced
            forced = name
        case .required: place = .bare
        case .none, .auto: break
        }
    }

    private var marks: [String] {
        switch place {
        case .start, .content:
            (place == .start ? [AnswerParser.think] : [])
                + (parsesTools ? [AnswerParser.call, AnswerParser.list] : [])
        case .reasoning: [AnswerParser.thinkEnd]
        case .call: [AnswerParser.callEnd]
        case .list, .bare, .forced: []
        }
    }

    mutating func append(_ text: String) -> [AnswerPart] {
        var parts: [AnswerPart] = []
        var text = text
        while true {
            let marks = marks
            let (before, mark) = finder.next(text, marks: marks)
            text = ""
            take(before, &parts)
            guard let mark else { return parts }
            enter(marks[mark], &parts)
        }
    }

    mutating func finish() -> [AnswerPart] {
        var parts: [AnswerPart] = []
        take(finder.rest(), &parts)
        switch place {
        case .call, .list, .bare:
            if !appendCalls(collected, &parts) { give(collected, &parts) }
            collected = ""
        default: break
        }
        return parts
    }

    /// Enters a mark that was found.
    private mutating func enter(_ mark: String, _ parts: inout [AnswerPart]) {
        switch mark {
        case AnswerParser.think: place = .reasoning
        case AnswerParser.thinkEnd:
            place = .content
            lastWasMark = true
        case AnswerParser.call: place = .call
        case AnswerParser.list: place = .list
        default:
            if !appendCalls(collected, &parts) { give(collected, &parts) }
            collected = ""
            place = .content
            lastWasMark = true
        }
    }

    private mutating func take(_ text: String, _ parts: inout [AnswerPart]) {
        guard !text.isEmpty else { return }
        switch place {
        case .start, .content:
            var rest = text[...]
            // Line ends around marks belong to the marks.
            if lastWasMark || place == .start && parsesTools {
                rest = rest.drop { $0.isNewline }
                if rest.isEmpty { return }
            }
            lastWasMark = false
            // An object where an answer begins may be a call.
            if place == .start, parsesTools, rest.first == "{" {
                place = .bare
                collected += rest
                return
            }
            place = .content
            parts.append(.content(String(rest)))
        case .reasoning: parts.append(.reasoning(text))
        case .forced:
            if callCount == 0 {
                parts.append(.call(index: 0, id: AnswerParser.callID(), name: forced))
                callCount = 1
            }
            parts.append(.arguments(index: 0, text))
        case .call, .list, .bare:
            collected += text
            guard collected.utf8.count > AnswerParser.callBytesMax else { return }
            give(collected, &parts)
            collected = ""
            place = .content
        }
    }

    private func give(_ text: String, _ parts: inout [AnswerPart]) {
        if !text.isEmpty { parts.append(.content(text)) }
    }

    /// Reads calls; false when the text is none.
    private mutating func appendCalls(_ text: String, _ parts: inout [AnswerPart]) -> Bool {
        guard let value = try? JSONValue(parsing: text) else { return false }
        let calls = value.arrayValue ?? [value]
        var found: [(name: String, arguments: String)] = []
        for call in calls {
            guard let name = (call["name"] ?? call["function"]?["name"])?.stringValue,
                toolNames.contains(name)
            else { return false }
            let arguments =
                call["arguments"] ?? call["parameters"] ?? call["function"]?["arguments"]
                ?? .object(JSONObject())
            found.append((name, arguments.stringValue ?? arguments.description))
        }
        for call in found {
            parts.append(
                .call(index: callCount, id: AnswerParser.callID(), name: call.name))
            parts.append(.arguments(index: callCount, call.arguments))
            callCount += 1
        }
        return !found.isEmpty
    }

    private static func callID() -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        return "call_" + String((0..<24).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }
}
