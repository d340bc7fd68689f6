// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Reads an event stream as it goes by: how far it has got, what it used, whether it failed. Of
/// OpenAI's completions and responses and of Anthropic's messages, told apart by what stands in
/// their events.
///
/// Pieces may be cut anywhere, and lines end as the standard allows (LF, CR or both). Long texts
/// in long events are passed over (`LongEventLine`); what is still longer than `eventBytesMax` is
/// not read. A usage object counts wherever it stands; of several the last counts (some servers
/// send running totals), never their sum.
package struct EventStreamReader: Sendable {
    package static let eventBytesMax = 64 << 10

    /// How a stream that has ended stands.
    package enum Ending: Sendable, Hashable {
        /// Its last event was seen: `[DONE]`, or the one that ends a response or a message.
        case done
        /// Every choice gave a reason to finish, but `[DONE]` is missing.
        case finishedWithoutDone
        /// It told of an error itself.
        case failed
        /// It stopped in the middle.
        case cut
    }

    /// Events that carried text or a tool call: what is counted as tokens when nobody else counts.
    package private(set) var contentEvents = 0
    package private(set) var eventCount = 0
    /// Lines that say nothing but that somebody is there.
    package private(set) var commentCount = 0
    package private(set) var isDone = false
    package private(set) var hasFailed = false
    /// What was said of the input, if it was.
    package private(set) var inputTokens: Int?
    private var outputTokens: Int?
    private var choices = ChoiceMarks()
    private var line = LongEventLine()
    private var data: [UInt8] = []
    private var name: [UInt8] = []
    private var hasData = false
    private var isTooLong = false
    private var isFirstLine = true
    /// A line has just ended with CR: LF behind it is part of its end.
    private var isAfterReturn = false
    private var isUsageOnly = false
    /// The event at hand as it came, when it may be left out.
    private var raw: [UInt8] = []
    private var isPassing = false

    package init() {}

    /// - Parameter choices: how many answers were asked for.
    package mutating func reset(choices count: Int = 1) {
        contentEvents = 0
        eventCount = 0
        commentCount = 0
        isDone = false
        hasFailed = false
        inputTokens = nil
        outputTokens = nil
        choices = ChoiceMarks(expected: count)
        line.removeAll()
        data.removeAll(keepingCapacity: true)
        name.removeAll(keepingCapacity: true)
        hasData = false
        isTooLong = false
        isFirstLine = true
        isAfterReturn = false
        raw.removeAll(keepingCapacity: true)
        isPassing = false
    }

    /// What the stream says that it used; nil while it does not say it all.
    package var usage: TokenUsage? {
        if let outputTokens { return TokenUsage(input: inputTokens ?? 0, output: outputTokens) }
        return contentEvents == 0 ? inputTokens.map { TokenUsage(input: $0, output: 0) } : nil
    }

    package var ending: Ending {
        if isDone { return .done }
        if hasFailed { return .failed }
        return choices.areFinished ? .finishedWithoutDone : .cut
    }

    package mutating func read(_ bytes: UnsafeRawBufferPointer) {
        var start = 0
        while let end = unsafe endOfLine(bytes, from: &start) {
            unsafe line.append(bytes, start..<end)
            endLine()
            start = end + 1
        }
        unsafe line.append(bytes, start..<bytes.count)
    }

    /// Reads, and appends all that came but events that tell of nothing but the usage. An event
    /// that has begun waits for its end, unless it is long.
    package mutating func read(
        _ bytes: UnsafeRawBufferPointer, leavingOutUsage output: inout [UInt8]
    ) {
        var start = 0
        var kept = 0
        while let end = unsafe endOfLine(bytes, from: &start) {
            unsafe line.append(bytes, start..<end)
            let isEnd = line.isEmpty
            endLine()
            start = end + 1
            guard isEnd else { continue }
            if isPassing || !isUsageOnly {
                output.append(contentsOf: raw)
                unsafe output.append(contentsOf: bytes[kept..<start])
            }
            raw.removeAll(keepingCapacity: true)
            isPassing = false
            kept = start
        }
        unsafe line.append(bytes, start..<bytes.count)
        unsafe raw.append(contentsOf: bytes[kept...])
        if isPassing || raw.count > EventStreamReader.eventBytesMax {
            isPassing = true
            takeHeld(&output)
        }
    }

    /// Appends what was kept back of an event that has not ended.
    package mutating func takeHeld(_ output: inout [UInt8]) {
        output.append(contentsOf: raw)
        raw.removeAll(keepingCapacity: true)
    }

    /// - Returns: where the line that begins at `start` ends; nil when it goes on.
    private mutating func endOfLine(
        _ bytes: UnsafeRawBufferPointer, from start: inout Int
    ) -> Int? {
        if isAfterReturn, start < bytes.count {
            isAfterReturn = false
            if unsafe bytes[start] == 0x0A { start += 1 }
        }
        var place = start
        while place < bytes.count {
            let byte = unsafe bytes[place]
            if byte == 0x0A { return place }
            if byte == 0x0D {
                isAfterReturn = true
                return place
            }
            place += 1
        }
        return nil
    }

    private mutating func endLine() {
        // The line's bytes are read in place: nobody else may hold them when they go.
        var start = 0
        if isFirstLine {
            isFirstLine = false
            if line.bytes.starts(with: EventStreamReader.byteOrderMark) { start = 3 }
        }
        if line.isTooLong { isTooLong = true }
        let count = line.bytes.count
        if count == start {
            endEvent()
        } else if line.bytes[start] == UInt8(ascii: ":") {
            commentCount += 1
        } else if let value = value(of: EventStreamReader.dataPrefix, start) {
            if hasData { data.append(0x0A) }
            hasData = true
            if data.count + count - value <= EventStreamReader.eventBytesMax {
                data.append(contentsOf: line.bytes[value...])
            } else {
                isTooLong = true
            }
        } else if let value = value(of: EventStreamReader.namePrefix, start) {
            name.removeAll(keepingCapacity: true)
            name.append(contentsOf: line.bytes[value...].prefix(64))
        }
        line.removeAll()
    }

    /// Where the line's value begins when it is of that field.
    @inline(__always)
    private func value(of prefix: [UInt8], _ start: Int) -> Int? {
        let end = start + prefix.count
        guard line.bytes.count >= end else { return nil }
        for place in prefix.indices where line.bytes[start + place] != prefix[place] { return nil }
        return end < line.bytes.count && line.bytes[end] == 0x20 ? end + 1 : end
    }

    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
    private static let dataPrefix = Array("data:".utf8)
    private static let namePrefix = Array("event:".utf8)
    private static let doneMark = Array("[DONE]".utf8)

    private mutating func endEvent() {
        isUsageOnly = false
        defer {
            data.removeAll(keepingCapacity: true)
            if !name.isEmpty { name.removeAll(keepingCapacity: true) }
            hasData = false
            isTooLong = false
        }
        guard hasData else { return }
        eventCount += 1
        if data == EventStreamReader.doneMark {
            isDone = true
            return
        }
        guard !isTooLong else {
            // Its name says as much of it as must be known.
            take(EventKind(name: name))
            return
        }
        let found = unsafe data.withUnsafeBytes { unsafe EventSummary($0, &choices) }
        guard let found else { return }
        take(found.kind)
        if found.hasError { hasFailed = true }
        if let input = found.input { inputTokens = max(input, inputTokens ?? 0) }
        if let output = found.output { outputTokens = output }
        contentEvents += found.contents
        isUsageOnly = found.isUsageOnly
    }

    private mutating func take(_ kind: EventKind) {
        switch kind {
        case .end: isDone = true
        case .failure: hasFailed = true
        case .failedEnd:
            isDone = true
            hasFailed = true
        case .content: contentEvents += 1
        case .other: break
        }
    }
}
