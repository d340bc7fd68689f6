// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
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

    @Test("lines may end with CR alone, and a byte order mark may come first")
    func lineEnds() {
        let text = Self.delta + Self.finish + Self.usage + Self.done
        for end in ["\r", "\r\n", "\n"] {
            for size in [1, 2, 5, 1000] {
                let reader = read("\u{FEFF}" + text.replacing("\n", with: end), pieces: size)
                #expect(reader.ending == .done)
                #expect(reader.eventCount == 4)
                #expect(reader.usage == TokenUsage(input: 7, output: 3))
            }
        }
        #expect(read(": ping\n\n: ping\r\r").commentCount == 2)
        #expect(read(": ping\n\n").eventCount == 0)
    }

    private static func choice(_ index: Int, finish: Bool) -> String {
        let reason = finish ? "\"length\"" : "null"
        return "data: {\"choices\":[{\"index\":\(index),\"delta\":{\"content\":\"x\"},"
            + "\"finish_reason\":\(reason)}]}\n\n"
    }

    @Test("a stream of several choices is finished when each of them is")
    func choices() {
        let first = Self.choice(0, finish: true)
        #expect(read(first + Self.choice(1, finish: false)).ending == .cut)
        #expect(read(Self.choice(1, finish: false) + first).ending == .cut)
        #expect(read(first + Self.choice(1, finish: true)).ending == .finishedWithoutDone)
        var reader = EventStreamReader()
        reader.reset(choices: 2)
        unsafe Array(first.utf8).withUnsafeBytes { unsafe reader.read($0) }
        #expect(reader.ending == .cut)
        for index in [127, 128, 1_000_000] {
            #expect(read(Self.choice(index, finish: false) + first).ending == .cut)
        }
    }

    private static func response(_ last: String) -> String {
        """
        event: response.created
        data: {"type":"response.created","response":{"status":"in_progress","usage":null}}

        event: response.output_text.delta
        data: {"type":"response.output_text.delta","delta":"x"}

        event: response.output_text.delta
        data: {"type":"response.output_text.delta","delta":"y"}


        """ + last
    }

    @Test("responses end with their own last event, which says what they used")
    func responses() {
        for (last, ending) in [
            ("completed", EventStreamReader.Ending.done), ("incomplete", .done), ("failed", .done),
        ] {
            let type = "response.\(last)"
            let reader = read(
                Self.response(
                    "event: \(type)\ndata: {\"type\":\"\(type)\",\"response\":{\"error\":null,"
                        + "\"usage\":{\"input_tokens\":100,\"input_tokens_details\":"
                        + "{\"cached_tokens\":60},\"output_tokens\":200}}}\n\n"))
            #expect(reader.ending == ending)
            #expect(reader.hasFailed == (last == "failed"))
            #expect(reader.usage == TokenUsage(input: 100, output: 200))
            #expect(reader.contentEvents == 2)
        }
        #expect(read(Self.response("")).ending == .cut)
        let error = #"data: {"type":"error","code":"x","message":"overloaded"}"# + "\n\n"
        #expect(read(Self.response(error)).ending == .failed)
    }

    private static let messageStart =
        #"data: {"type":"message_start","message":{"usage":{"input_tokens":100,"#
        + #""cache_read_input_tokens":40,"cache_creation_input_tokens":2,"output_tokens":1}}}"#
        + "\n\n"
    private static let messageDelta =
        #"data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"hi"}}"# + "\n\n"

    @Test("messages say what they read first and what they wrote last, and end with message_stop")
    func messages() {
        let end =
            #"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"#
            + #""usage":{"output_tokens":200}}"# + "\n\n" + #"data: {"type":"message_stop"}"#
            + "\n\n"
        let reader = read(Self.messageStart + Self.messageDelta + Self.messageDelta + end)
        #expect(reader.ending == .done)
        #expect(reader.usage == TokenUsage(input: 142, output: 200))
        #expect(reader.contentEvents == 2)
        let cut = read(Self.messageStart + Self.messageDelta)
        #expect(cut.ending == .cut)
        // What it wrote is not known, but what it read.
        #expect(cut.usage == nil)
        #expect(cut.inputTokens == 142)
        let error = #"data: {"type":"error","error":{"type":"overloaded_error"}}"# + "\n\n"
        #expect(read(Self.messageStart + error).ending == .failed)
    }

    @Test("an event is read however long its texts are")
    func longTexts() {
        let text = String(repeating: #"y\"\\\u00e9é"#, count: 40_000)
        let last =
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\(text)\"},"
            + "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,"
            + "\"completion_tokens\":3}}\n\n"
        for size in [1_000, 4_096, 100_000, 1 << 20] {
            let reader = read(Self.delta + last, pieces: size)
            #expect(reader.ending == .finishedWithoutDone)
            #expect(reader.usage == TokenUsage(input: 7, output: 3))
            #expect(reader.contentEvents == 2)
        }
        // Too many short texts: its name is enough.
        let parts = String(repeating: "\"short\",", count: 30_000)
        let response =
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":"
            + "{\"output\":[\(parts)1]}}\n\n"
        #expect(read(Self.response(response)).ending == .done)
        #expect(read(Self.response(response), pieces: 5_000).ending == .done)
    }

    private func filter(_ text: String, pieces: Int) -> (String, EventStreamReader) {
        var reader = EventStreamReader()
        var output: [UInt8] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            let piece = Array(bytes[start..<min(start + pieces, bytes.count)])
            unsafe piece.withUnsafeBytes { unsafe reader.read($0, leavingOutUsage: &output) }
        }
        reader.takeHeld(&output)
        return (String(decoding: output, as: UTF8.self), reader)
    }

    @Test("events of nothing but usage are left out, and nothing else is")
    func leavesOutUsage() {
        let filters =
            #"data: {"choices":[],"prompt_filter_results":[]}"# + "\n\n" + ": ping\n\n"
        let running =
            #"data: {"choices":[{"index":0,"delta":{"content":"x"}}],"usage":{"prompt_tokens":7,"completion_tokens":1}}"#
            + "\n\n"
        let long =
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\""
            + String(repeating: "y", count: 200_000) + "\"}}]}\n\n"
        let before = filters + Self.delta + running + long + Self.finish
        for size in [1, 3, 64, 4_096, 1 << 20] {
            let (kept, reader) = filter(before + Self.usage + Self.done, pieces: size)
            #expect(kept == before + Self.done)
            #expect(reader.usage == TokenUsage(input: 7, output: 3))
            #expect(reader.ending == .done)
            #expect(
                filter(before + Self.usage + "data: [DO", pieces: size).0 == before + "data: [DO")
        }
        for end in ["\r", "\r\n"] {
            let text = (Self.delta + Self.usage + Self.done).replacing("\n", with: end)
            let (kept, _) = filter(text, pieces: 1)
            #expect(read(kept).eventCount == 2)
            #expect(read(kept).usage == nil)
            #expect(read(kept).ending == .done)
        }
    }

    @Test("how a stream is cut into pieces changes neither what is read nor what goes on")
    func anyPieces() {
        for seed in 0..<300 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let long = String(repeating: "z", count: Int.random(in: 0..<40_000, using: &random))
            let events = [
                Self.delta, Self.usage, ": ping\n\n", "event: x\n\n", "\n", Self.messageStart,
                Self.messageDelta, "data: {\"a\":\"\(long)\",\"usage\":{\"prompt_tokens\":9}}\n\n",
                "data: {\"choices\":[],\"pad\":\"\(long)\",\"usage\":{\"prompt_tokens\":8}}\n\n",
                Self.choice(1, finish: true), Self.finish,
            ]
            let ends = ["\n", "\r\n", "\r"]
            var text = ""
            for _ in 0..<Int.random(in: 1..<12, using: &random) {
                text += events.randomElement(using: &random) ?? ""
            }
            text = text.replacing("\n", with: ends.randomElement(using: &random) ?? "\n")
            if Bool.random(using: &random) { text += "data: {\"cut" }
            let (whole, first) = filter(text, pieces: text.utf8.count)
            let size = Int.random(in: 1..<5_000, using: &random)
            let (kept, second) = filter(text, pieces: size)
            #expect(kept == whole, "seed \(seed)")
            let plain = read(text, pieces: size)
            for other in [second, plain] {
                #expect(other.ending == first.ending, "seed \(seed)")
                #expect(other.usage == first.usage, "seed \(seed)")
                #expect(other.inputTokens == first.inputTokens, "seed \(seed)")
                #expect(other.eventCount == first.eventCount, "seed \(seed)")
                #expect(other.contentEvents == first.contentEvents, "seed \(seed)")
            }
            // What is left out is left out once: nothing more goes at the second time.
            #expect(filter(kept, pieces: size).0 == kept, "seed \(seed)")
        }
    }
}
