// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Reads an OpenAI event stream as it goes by: how far it has got, what it used, whether it failed.
///
/// Pieces may be cut anywhere. Events longer than `eventBytesMax` are passed over unread. A usage
/// object counts wherever it stands; of several the last counts (some servers send running totals),
/// never their sum.
package struct EventStreamReader: Sendable {
    package static let eventBytesMax = 64 << 10

    /// How a stream that has ended stands.
    package enum Ending: Sendable, Hashable {
        /// `[DONE]` was seen.
        case done
        /// Every choice gave a reason to finish, but `[DONE]` is missing.
        case finishedWithoutDone
        /// It told of an error itself.
        case failed
        /// It stopped in the middle.
        case cut
    }

    package private(set) var usage: TokenUsage?
    /// Events that carried text or a tool call: what is counted as tokens when nobody else counts.
    package private(set) var contentEvents = 0
    package private(set) var eventCount = 0
    package private(set) var isDone = false
    package private(set) var hasFailed = false
    private var hasFinished = false
    private var line: [UInt8] = []
    private var data: [UInt8] = []
    private var hasData = false
    private var isTooLong = false

    package init() {}

    package mutating func reset() {
        usage = nil
        contentEvents = 0
        eventCount = 0
        isDone = false
        hasFailed = false
        hasFinished = false
        line.removeAll(keepingCapacity: true)
        data.removeAll(keepingCapacity: true)
        hasData = false
        isTooLong = false
    }

    package var ending: Ending {
        if isDone { return .done }
        if hasFailed { return .failed }
        return hasFinished ? .finishedWithoutDone : .cut
    }

    package mutating func read(_ bytes: UnsafeRawBufferPointer) {
        var start = 0
        for place in 0..<bytes.count {
            guard unsafe bytes[place] == 0x0A else { continue }
            unsafe take(bytes, start..<place)
            endLine()
            start = place + 1
        }
        unsafe take(bytes, start..<bytes.count)
    }

    private mutating func take(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        guard line.count + range.count <= EventStreamReader.eventBytesMax else {
            isTooLong = true
            return
        }
        unsafe line.append(contentsOf: bytes[range])
    }

    private mutating func endLine() {
        if line.last == 0x0D { line.removeLast() }
        if line.isEmpty {
            endEvent()
        } else if line.starts(with: EventStreamReader.dataPrefix) {
            if hasData { data.append(0x0A) }
            hasData = true
            let skipped = line.count > 5 && line[5] == 0x20 ? 6 : 5
            if data.count + line.count <= EventStreamReader.eventBytesMax {
                data.append(contentsOf: line[skipped...])
            } else {
                isTooLong = true
            }
        }
        line.removeAll(keepingCapacity: true)
    }

    private static let dataPrefix = Array("data:".utf8)
    private static let doneMark = Array("[DONE]".utf8)

    private mutating func endEvent() {
        defer {
            data.removeAll(keepingCapacity: true)
            hasData = false
            isTooLong = false
        }
        guard hasData else { return }
        eventCount += 1
        if data == EventStreamReader.doneMark {
            isDone = true
            return
        }
        guard !isTooLong else { return }
        let found = unsafe data.withUnsafeBytes { unsafe EventSummary($0) }
        guard let found else { return }
        if found.hasError { hasFailed = true }
        if let usage = found.usage { self.usage = usage }
        if found.hasFinish { hasFinished = true }
        contentEvents += found.contents
    }
}

/// What matters of one event, read without making values of the rest.
private struct EventSummary {
    var hasError = false
    var hasFinish = false
    /// Choices with text, a tool call or reasoning.
    var contents = 0
    var usage: TokenUsage?

    /// Nil when the event is no JSON object.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var scanner = unsafe JSONScanner(bytes)
        do throws(JSONError) {
            guard try scanner.peek() == .object else { return nil }
            try scanner.beginObject()
            while let key = try scanner.nextKey() {
                if key == "choices", try scanner.peek() == .array {
                    try readChoices(&scanner)
                } else if key == "usage", try scanner.peek() == .object {
                    let raw = try unsafe scanner.readRaw()
                    usage = TokenUsage(text: unsafe Array(raw)) ?? usage
                } else if key == "error", try scanner.peek() != .null {
                    hasError = true
                    try scanner.skipValue()
                } else {
                    try scanner.skipValue()
                }
            }
        } catch { return nil }
    }

    private mutating func readChoices(_ scanner: inout JSONScanner) throws(JSONError) {
        try scanner.beginArray()
        while try scanner.nextElement() {
            guard try scanner.peek() == .object else {
                try scanner.skipValue()
                continue
            }
            var hasContent = false
            try scanner.beginObject()
            while let key = try scanner.nextKey() {
                let kind = try scanner.peek()
                if key == "finish_reason", kind == .string {
                    hasFinish = true
                    try scanner.skipValue()
                } else if key == "delta", kind == .object {
                    if try EventSummary.hasContent(&scanner) { hasContent = true }
                } else if key == "text", kind == .string {
                    if try !EventSummary.isEmpty(&scanner) { hasContent = true }
                } else {
                    try scanner.skipValue()
                }
            }
            if hasContent { contents += 1 }
        }
    }

    private static func hasContent(_ scanner: inout JSONScanner) throws(JSONError) -> Bool {
        var found = false
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            let kind = try scanner.peek()
            if key == "content" || key == "reasoning_content", kind == .string {
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
