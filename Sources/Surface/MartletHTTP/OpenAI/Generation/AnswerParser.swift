// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Takes an answer apart as it comes: reasoning between `<think>` marks, calls of tools in the
/// families' forms, and the rest as its content.
///
/// Forms of calls: `<tool_call>` with an object (Qwen, Hermes) or with `<function=…>` and
/// `<parameter=…>` in it (Qwen3-Coder), `[TOOL_CALLS]` with a list or with names and `[ARGS]`
/// (Mistral), `<|tool_call|>` with a list (Phi-4), `<|python_tag|>`, `<function=…>` with an object
/// or one or more bare objects (Llama). A call's name is handed on as soon as it is known, and its
/// arguments as they are written.
package struct AnswerParser: Sendable {
    private enum Place: Equatable {
        case start, content, reasoning, forced
        /// Between calls, or before the first; some marks stand before one call only.
        case calls
        case call
        /// `[TOOL_CALLS]name`, up to what follows the name.
        case name
        /// `<function=name>`.
        case functionName, function
        /// What follows the last call up to the end mark.
        case tail
    }

    private let parsesTools: Bool
    private let callCountMax: Int
    private let tools: AnswerWishes.Tools
    private var place = Place.start
    private var finder = MarkFinder()
    private var scanner = CallScanner([])
    private var markup = FunctionMarkup()
    /// What was read of a call that may turn out to be none.
    private var held: [UInt8] = []
    private var name: [UInt8] = []
    /// The mark that ends the calls; nil where the text does.
    private var endMark: String?
    private var callCount = 0
    /// The name of the call at hand, until its arguments begin: before, it may turn out to be none.
    private var named: String?
    /// The call at hand is beyond how many may be made.
    private var isDropped = false
    /// The tool whose arguments the whole answer is.
    private var forced = ""
    private var lastWasMark = false
    private let opening: ReasoningOpening

    private static let think = "<think>"
    private static let thinkEnd = "</think>"
    private static let call = "<tool_call>"
    private static let callEnd = "</tool_call>"
    private static let list = "[TOOL_CALLS]"
    private static let function = "<function="
    private static let functionEnd = "</function>"
    private static let phi = "<|tool_call|>"
    private static let phiEnd = "<|/tool_call|>"
    private static let python = "<|python_tag|>"
    private static let arguments = "[ARGS]"
    private static let callID = "[CALL_ID]"
    /// What is held of a call before it is known to be one; beyond, it is plain content.
    private static let heldBytesMax = 1 << 20

    package init(_ wishes: AnswerWishes) {
        parsesTools = wishes.tools != .none
        tools = wishes.toolSet
        callCountMax = wishes.callsInParallel ? Int.max : 1
        opening = wishes.opening
        switch wishes.tools {
        case .named(let name):
            place = .forced
            forced = name
        case .required: place = .calls
        case .none, .auto: break
        }
    }

    private var marks: [String] {
        switch place {
        case .start, .content:
            (place == .start ? [AnswerParser.think] : [])
                + (parsesTools
                    ? [
                        AnswerParser.call, AnswerParser.list, AnswerParser.function,
                        AnswerParser.phi, AnswerParser.python,
                    ] : [])
        case .reasoning: [AnswerParser.thinkEnd]
        case .calls, .tail:
            [
                endMark, endMark == AnswerParser.callEnd ? AnswerParser.function : nil,
                endMark == nil && allowsNames ? AnswerParser.list : nil,
            ].compactMap(\.self)
        case .name: [AnswerParser.arguments, AnswerParser.callID]
        case .function: [AnswerParser.functionEnd]
        case .call, .functionName, .forced: []
        }
    }

    package mutating func append(_ text: String) -> [AnswerPart] {
        var parts: [AnswerPart] = []
        if place == .start, opening.isOpen { place = .reasoning }
        var text = text
        while true {
            let marks = marks
            let before: String
            let mark: Int?
            if marks.isEmpty {
                (before, mark) = (finder.rest() + text, nil)
            } else {
                (before, mark) = finder.next(text, marks: marks)
            }
            text = ""
            let old = place
            let rest = take(Array(before.utf8), &parts)
            if !rest.isEmpty || place != old {
                // Read on with other marks; the mark that was found comes again.
                text = String(decoding: rest, as: UTF8.self)
                if let mark { text += marks[mark] }
                text += finder.rest()
                if text.isEmpty { return parts }
                continue
            }
            guard let mark else { return parts }
            enter(marks[mark], &parts)
        }
    }

    package mutating func finish() -> [AnswerPart] {
        var parts: [AnswerPart] = []
        var rest = Array(finder.rest().utf8)
        while !rest.isEmpty {
            let old = place
            let next = take(rest, &parts)
            if next.count == rest.count, place == old { break }
            rest = next
        }
        switch place {
        case .call where !scanner.hasBegun, .calls, .name, .tail: giveHeld(&parts)
        case .functionName: leave(Array(AnswerParser.function.utf8) + name, &parts)
        case .function: endFunction(&parts)
        default: break
        }
        return parts
    }

    // MARK: Marks

    private mutating func enter(_ mark: String, _ parts: inout [AnswerPart]) {
        lastWasMark = true
        switch mark {
        case AnswerParser.think: place = .reasoning
        case AnswerParser.thinkEnd: place = .content
        case AnswerParser.call: beginCalls(until: AnswerParser.callEnd)
        case AnswerParser.phi: beginCalls(until: AnswerParser.phiEnd)
        case AnswerParser.list, AnswerParser.python: beginCalls(until: nil)
        case AnswerParser.function:
            held = []
            name = []
            place = .functionName
        case AnswerParser.functionEnd: endFunction(&parts)
        case AnswerParser.callID: break
        case AnswerParser.arguments:
            beginArguments(&parts)
        default:
            leave(held, &parts)
            lastWasMark = true
        }
        if mark == AnswerParser.list { allowsNames = true }
    }

    /// Names without an object around them may stand here.
    private var allowsNames = false

    private mutating func beginCalls(until mark: String?) {
        endMark = mark
        held = []
        allowsNames = false
        place = .calls
    }

    // MARK: Text

    /// Reads bytes where the parser stands.
    /// - Returns: those that belong to where it stands then.
    private mutating func take(_ bytes: [UInt8], _ parts: inout [AnswerPart]) -> [UInt8] {
        guard !bytes.isEmpty else { return [] }
        switch place {
        case .start, .content: return takeContent(bytes, &parts)
        case .reasoning: parts.append(.reasoning(String(decoding: bytes, as: UTF8.self)))
        case .forced:
            if callCount == 0 { begin(forced, &parts) }
            parts.append(.arguments(index: 0, String(decoding: bytes, as: UTF8.self)))
        case .calls: return takeBetween(bytes, &parts)
        case .call: return takeCall(bytes, &parts)
        case .name: return takeName(bytes, &parts)
        case .functionName: return takeFunctionName(bytes, &parts)
        case .function: append(arguments: markup.append(bytes), &parts)
        case .tail: held += bytes
        }
        return []
    }

    private mutating func takeContent(
        _ bytes: [UInt8], _ parts: inout [AnswerPart]
    ) -> [UInt8] {
        var rest = bytes[...]
        // Line ends around marks belong to the marks.
        if lastWasMark || place == .start && parsesTools {
            rest = rest.drop { $0 == 0x0A || $0 == 0x0D }
            if rest.isEmpty { return [] }
        }
        lastWasMark = false
        // An object where an answer begins may be a call, and a list of objects.
        if place == .start, parsesTools, rest.first == UInt8(ascii: "{") || rest.first == 0x5B {
            beginCalls(until: nil)
            return Array(rest)
        }
        place = .content
        parts.append(.content(String(decoding: rest, as: UTF8.self)))
        return []
    }

    /// Signs between calls: brackets of lists, commas, semicolons.
    private mutating func takeBetween(
        _ bytes: [UInt8], _ parts: inout [AnswerPart]
    ) -> [UInt8] {
        for (index, byte) in bytes.enumerated() {
            switch byte {
            case UInt8(ascii: "{"):
                scanner = CallScanner(tools.names)
                named = nil
                place = .call
                return Array(bytes[index...])
            case 0x20, 0x0A, 0x0D, 0x09, 0x5B, 0x5D, 0x2C, 0x3B: held.append(byte)
            default:
                let isName = AnswerParser.isNamePart(byte)
                if allowsNames, isName {
                    name = []
                    place = .name
                } else {
                    leave(held, &parts)
                }
                return Array(bytes[index...])
            }
        }
        return []
    }

    private static func isNamePart(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2D, 0x2E: true
        default: false
        }
    }

    private mutating func takeCall(_ bytes: [UInt8], _ parts: inout [AnswerPart]) -> [UInt8] {
        var events: [CallScanner.Event] = []
        var end = bytes.count
        for (index, byte) in bytes.enumerated() {
            scanner.take(byte, &events)
            if !scanner.hasBegun { held.append(byte) }
            if events.last == .done || events.last == .failed {
                end = index + 1
                break
            }
        }
        for event in events {
            switch event {
            case .name(let name): named = name
            case .arguments(let bytes):
                beginNamed(&parts)
                append(arguments: bytes, &parts)
            case .done:
                beginNamed(&parts)
                held = []
                place = .calls
            case .failed:
                // What was handed on cannot be taken back.
                if scanner.hasBegun { held = [] } else { giveHeld(&parts) }
                place = endMark == nil ? .content : .tail
            }
        }
        if place != .call { return Array(bytes[end...]) }
        if held.count > AnswerParser.heldBytesMax { leave(held, &parts) }
        return []
    }

    /// Mistral's newer form: a name, then its arguments.
    private mutating func takeName(_ bytes: [UInt8], _ parts: inout [AnswerPart]) -> [UInt8] {
        for (index, byte) in bytes.enumerated() {
            if name.count > 256 {
                leave(held, &parts)
                return Array(bytes[index...])
            }
            if byte == UInt8(ascii: "{") {
                beginArguments(&parts)
                return Array(bytes[index...])
            }
            held.append(byte)
            // What stands between the name and its arguments is the call's number.
            if AnswerParser.isNamePart(byte) { name.append(byte) }
        }
        return []
    }

    private mutating func beginArguments(_ parts: inout [AnswerPart]) {
        let text = String(decoding: name, as: UTF8.self)
        guard
            let found = tools.names.filter({ text.hasPrefix($0) }).max(by: { $0.count < $1.count })
        else { return leave(held, &parts) }
        begin(found, &parts)
        held = []
        scanner = CallScanner(argumentsOf: found)
        place = .call
    }

    private mutating func takeFunctionName(
        _ bytes: [UInt8], _ parts: inout [AnswerPart]
    ) -> [UInt8] {
        for (index, byte) in bytes.enumerated() {
            guard byte == UInt8(ascii: ">") else {
                name.append(byte)
                if name.count <= 256 { continue }
                leave(Array(AnswerParser.function.utf8) + name, &parts)
                return Array(bytes[(index + 1)...])
            }
            let text = String(decoding: name, as: UTF8.self)
            guard tools.names.contains(text) else {
                leave(Array(AnswerParser.function.utf8) + name + [byte], &parts)
                return Array(bytes[(index + 1)...])
            }
            begin(text, &parts)
            markup = FunctionMarkup(tools.parameters[text] ?? .null)
            place = .function
            return Array(bytes[(index + 1)...])
        }
        return []
    }

    private mutating func endFunction(_ parts: inout [AnswerPart]) {
        append(arguments: markup.finish(), &parts)
        held = []
        place = endMark == nil ? .content : .calls
    }

    // MARK: Parts

    private mutating func beginNamed(_ parts: inout [AnswerPart]) {
        guard let name = named else { return }
        named = nil
        begin(name, &parts)
    }

    private mutating func begin(_ name: String, _ parts: inout [AnswerPart]) {
        isDropped = callCount >= callCountMax
        guard !isDropped else { return }
        parts.append(.call(index: callCount, id: AnswerParser.makeID(), name: name))
        callCount += 1
    }

    private func append(arguments bytes: [UInt8], _ parts: inout [AnswerPart]) {
        guard !isDropped, !bytes.isEmpty else { return }
        parts.append(
            .arguments(index: callCount - 1, String(decoding: bytes, as: UTF8.self)))
    }

    /// Goes on with content, of which this is the beginning.
    private mutating func leave(_ text: [UInt8], _ parts: inout [AnswerPart]) {
        held = text
        giveHeld(&parts)
        endMark = nil
        place = .content
        // What began with it was no mark.
        lastWasMark = false
    }

    private mutating func giveHeld(_ parts: inout [AnswerPart]) {
        defer { held = [] }
        // Signs around calls that were read say nothing.
        if callCount > 0, !held.contains(where: AnswerParser.isNamePart) { return }
        let text = String(decoding: held, as: UTF8.self)
        if !text.isEmpty { parts.append(.content(text)) }
    }

    private static func makeID() -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        return "call_" + String((0..<24).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }
}
