// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// What an event says it is: `type` in OpenAI's responses and Anthropic's messages. Completions
/// have no such thing.
enum EventKind {
    case other, content, end, failure, failedEnd

    init(name: [UInt8]) {
        self = unsafe name.withUnsafeBytes { unsafe EventKind($0) }
    }

    init(_ name: UnsafeRawBufferPointer) {
        switch unsafe String(decoding: name, as: UTF8.self) {
        case "message_stop", "response.completed", "response.incomplete", "response.cancelled":
            self = .end
        case "response.failed": self = .failedEnd
        case "error": self = .failure
        case "content_block_delta": self = .content
        case let text: self = text.hasSuffix(".delta") ? .content : .other
        }
    }
}

/// Which of a stream's choices have begun and which are finished.
struct ChoiceMarks: Sendable {
    private static let indexMax = 127
    private let expected: Int
    private var begun: UInt128 = 0
    private var finished: UInt128 = 0

    init(expected: Int = 1) { self.expected = min(max(expected, 1), ChoiceMarks.indexMax + 1) }

    mutating func mark(_ index: Int, isFinished: Bool) {
        let mark = UInt128(1) << UInt128(min(max(index, 0), ChoiceMarks.indexMax))
        begun |= mark
        if isFinished { finished |= mark }
    }

    /// Every choice that was asked for gave a reason to finish.
    var areFinished: Bool { begun == finished && finished.nonzeroBitCount >= expected }
}

/// What matters of one event, read without making values of the rest.
struct EventSummary {
    var kind = EventKind.other
    var hasError = false
    /// Choices with text, a tool call or reasoning.
    var contents = 0
    var input: Int?
    var output: Int?
    private var hasUsage = false
    private var hasNoChoices = false

    /// Whether somebody who did not ask for the usage misses nothing without it.
    var isUsageOnly: Bool { hasUsage && hasNoChoices && !hasError }

    /// Nil when the event is no JSON object.
    init?(_ bytes: UnsafeRawBufferPointer, _ choices: inout ChoiceMarks) {
        var scanner = unsafe JSONScanner(bytes)
        do throws(JSONError) {
            guard try scanner.peek() == .object else { return nil }
            try scanner.beginObject()
            while let key = try scanner.nextKey() {
                if key == "choices", try scanner.peek() == .array {
                    try readChoices(&scanner, &choices)
                } else if key == "usage", try scanner.peek() == .object {
                    try readUsage(&scanner, isBeginning: false)
                } else if key == "type", try scanner.peek() == .string {
                    let text = try scanner.readText()
                    kind = unsafe EventKind(text.raw)
                } else if key == "error", try scanner.peek() != .null {
                    hasError = true
                    try scanner.skipValue()
                } else if key == "response", try scanner.peek() == .object {
                    try readUsage(within: &scanner, isBeginning: false)
                } else if key == "message", try scanner.peek() == .object {
                    try readUsage(within: &scanner, isBeginning: true)
                } else {
                    try scanner.skipValue()
                }
            }
        } catch { return nil }
    }

    private mutating func readUsage(
        within scanner: inout JSONScanner, isBeginning: Bool
    ) throws(JSONError) {
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            if key == "usage", try scanner.peek() == .object {
                try readUsage(&scanner, isBeginning: isBeginning)
            } else {
                try scanner.skipValue()
            }
        }
    }

    /// - Parameter isBeginning: nothing has been put out yet, whatever it says.
    private mutating func readUsage(
        _ scanner: inout JSONScanner, isBeginning: Bool
    ) throws(JSONError) {
        let raw = try unsafe scanner.readRaw()
        guard let found = unsafe UsageMembers.read(raw) else { return }
        hasUsage = true
        input = found.input
        if !isBeginning { output = found.output }
    }

    private mutating func readChoices(
        _ scanner: inout JSONScanner, _ choices: inout ChoiceMarks
    ) throws(JSONError) {
        try scanner.beginArray()
        hasNoChoices = true
        while try scanner.nextElement() {
            hasNoChoices = false
            guard try scanner.peek() == .object else {
                try scanner.skipValue()
                continue
            }
            var hasContent = false
            var isFinished = false
            var index = 0
            try scanner.beginObject()
            while let key = try scanner.nextKey() {
                let kind = try scanner.peek()
                if key == "index", kind == .number {
                    index = Int(exactly: try scanner.readDouble()) ?? 0
                } else if key == "finish_reason", kind == .string {
                    isFinished = true
                    try scanner.skipValue()
                } else if key == "delta", kind == .object {
                    if try EventSummary.hasContent(&scanner) { hasContent = true }
                } else if key == "text", kind == .string {
                    if try !EventSummary.isEmpty(&scanner) { hasContent = true }
                } else {
                    try scanner.skipValue()
                }
            }
            choices.mark(index, isFinished: isFinished)
            if hasContent { contents += 1 }
        }
    }

    private static func hasContent(_ scanner: inout JSONScanner) throws(JSONError) -> Bool {
        var found = false
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            let kind = try scanner.peek()
            let isText =
                key == "content" || key == "reasoning_content" || key == "reasoning"
                || key == "refusal"
            if isText, kind == .string {
                if try !isEmpty(&scanner) { found = true }
            } else if key == "tool_calls", kind == .array {
                try scanner.beginArray()
                while try scanner.nextElement() {
                    found = true
                    try scanner.skipValue()
                }
            } else {
                try scanner.skipValue()
            }
        }
        return found
    }

    private static func isEmpty(_ scanner: inout JSONScanner) throws(JSONError) -> Bool {
        try unsafe scanner.readRaw().count <= 2
    }
}
