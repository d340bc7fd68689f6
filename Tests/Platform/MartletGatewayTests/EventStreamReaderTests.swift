// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import Testing

@Suite("EventStreamReader")
struct EventStreamReaderTests {
    private static let delta =
        #"data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}"# + "\n\n"
    private static let finish =
        #"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"# + "\n\n"
    private static let usage =
        #"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}"# + "\n\n"
    private static let done = "data: [DONE]\n\n"

    private func read(_ text: String, pieces: Int = 7) -> EventStreamReader {
        var reader = EventStreamReader()
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let end = min(start + pieces, bytes.count)
            unsafe Array(bytes[start..<end]).withUnsafeBytes { unsafe reader.read($0) }
            start = end
        }
        return reader
    }

    @Test("a whole stream is done, with its usage and its tokens, wherever it is cut")
    func whole() {
        let text = Self.delta + Self.delta + Self.delta + Self.finish + Self.usage + Self.done
        for size in [1, 2, 3, 10, 64, 1000] {
            let reader = read(text, pieces: size)
            #expect(reader.ending == .done)
            #expect(reader.usage == TokenUsage(input: 7, output: 3))
            #expect(reader.contentEvents == 3)
            #expect(reader.eventCount == 6)
        }
        #expect(read(text.replacing("\n", with: "\r\n")).ending == .done)
    }

    @Test("a stream that stops in the middle is cut")
    func cut() {
        #expect(read(Self.delta + Self.delta).ending == .cut)
        #expect(read("").ending == .cut)
        #expect(read(Self.delta + "data: [DONE]").ending == .cut)
    }

    @Test("a reason to finish without the end mark is told apart")
    func finished() {
        #expect(read(Self.delta + Self.finish).ending == .finishedWithoutDone)
    }

    @Test("an error object is a failure")
    func error() {
        let reader = read(#"data: {"error":{"message":"overloaded"}}"# + "\n\n")
        #expect(reader.ending == .failed)
        #expect(reader.hasFailed)
    }

    @Test("of several usages the last counts, on whatever event it stands")
    func doubledUsage() {
        let running =
            #"data: {"choices":[{"index":0,"delta":{"content":"x"}}],"usage":{"prompt_tokens":7,"completion_tokens":1}}"#
            + "\n\n"
        let reader = read(running + Self.usage + Self.usage + Self.done)
        #expect(reader.usage == TokenUsage(input: 7, output: 3))
        #expect(read(running + Self.done).usage == TokenUsage(input: 7, output: 1))
        #expect(read(Self.delta + Self.done).usage == nil)
    }

    @Test("an event longer than the bound is passed over, and the next is read")
    func tooLong() {
        let long = "data: {\"x\":\"" + String(repeating: "y", count: 200_000) + "\"}\n\n"
        #expect(read(long + Self.usage + Self.done, pieces: 4096).ending == .done)
    }
}
