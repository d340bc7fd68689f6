// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

/// Puts an OpenAI event stream together into the answer that it would have been without streaming:
/// text, tool calls by name and arguments, reasons to finish, usage.
///
/// Pieces may be cut anywhere. Bounded: streams with more text than `textBytesMax`, longer events,
/// or more choices and calls are given up (`isTooLong`).
package struct StreamAssembler: Sendable {
    package static let textBytesMax = 512 << 10
    private static let eventBytesMax = 64 << 10
    private static let choicesMax = 128

    private struct Call: Sendable {
        var name = ""
        var arguments = ""
    }

    private struct Choice: Sendable {
        var content = ""
        var isMessage = true
        var calls: [Call] = []
        var finish: JSONValue = .null
        var logprobs: [JSONValue] = []
    }

    package private(set) var isTooLong = false
    /// `[DONE]`, or a reason to finish, was seen.
    package private(set) var isWhole = false
    package private(set) var eventCount = 0
    private var choices: [Choice] = []
    private var usage: JSONValue?
    private var error: JSONValue?
    private var model: JSONValue?
    private var line: [UInt8] = []
    private var textBytes = 0

    package init() {}

    package mutating func read(_ bytes: UnsafeRawBufferPointer) {
        guard !isTooLong else { return }
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
        guard !isTooLong, line.count + range.count <= StreamAssembler.eventBytesMax else {
            giveUp()
            return
        }
        unsafe line.append(contentsOf: bytes[range])
    }

    private mutating func giveUp() {
        isTooLong = true
        choices = []
        line = []
    }

    private mutating func endLine() {
        defer { line.removeAll(keepingCapacity: true) }
        if line.last == 0x0D { line.removeLast() }
        guard line.starts(with: Array("data:".utf8)) else { return }
        eventCount += 1
        let data = line.dropFirst(line.count > 5 && line[5] == 0x20 ? 6 : 5)
        if data.elementsEqual("[DONE]".utf8) {
            isWhole = true
            return
        }
        guard let event = try? JSONValue(parsing: Array(data)) else { return }
        add(event)
    }

    private mutating func add(_ event: JSONValue) {
        if let found = event["usage"], found.objectValue != nil { usage = found }
        if let found = event["error"], !found.isNull { error = found }
        if model == nil { model = event["model"] }
        for part in event["choices"]?.arrayValue ?? [] {
            let index = part["index"]?.intValue ?? 0
            guard (0..<StreamAssembler.choicesMax).contains(index) else { return giveUp() }
            while choices.count <= index { choices.append(Choice()) }
            if let text = part["text"]?.stringValue {
                choices[index].isMessage = false
                choices[index].content += text
                textBytes += text.utf8.count
            }
            if let text = part["delta"]?["content"]?.stringValue {
                choices[index].content += text
                textBytes += text.utf8.count
            }
            if let tokens = part["logprobs"]?["content"]?.arrayValue {
                choices[index].logprobs += tokens
                textBytes += 128 * tokens.count
            }
            for call in part["delta"]?["tool_calls"]?.arrayValue ?? [] { add(call, to: index) }
            if let finish = part["finish_reason"], !finish.isNull {
                choices[index].finish = finish
                isWhole = true
            }
        }
        // The Open Inference Protocol's generate_stream.
        if let text = event["text_output"]?.stringValue {
            if choices.isEmpty { choices.append(Choice(isMessage: false)) }
            choices[0].content += text
            textBytes += text.utf8.count
        }
        if textBytes > StreamAssembler.textBytesMax { giveUp() }
    }

    private mutating func add(_ call: JSONValue, to choice: Int) {
        let place = call["index"]?.intValue ?? 0
        guard (0..<StreamAssembler.choicesMax).contains(place) else { return giveUp() }
        while choices[choice].calls.count <= place { choices[choice].calls.append(Call()) }
        if let name = call["function"]?["name"]?.stringValue {
            choices[choice].calls[place].name += name
            textBytes += name.utf8.count
        }
        if let text = call["function"]?["arguments"]?.stringValue {
            choices[choice].calls[place].arguments += text
            textBytes += text.utf8.count
        }
    }

    /// The answer so far, as without streaming.
    package var document: JSONValue {
        var object = JSONObject()
        object["model"] = model ?? .null
        object["choices"] = .array(
            choices.enumerated().map { index, choice in
                var found = JSONObject()
                found["index"] = .integer(Int64(index))
                if choice.isMessage {
                    var message = JSONObject()
                    message["content"] = .string(choice.content)
                    if !choice.calls.isEmpty {
                        message["tool_calls"] = .array(
                            choice.calls.map { call in
                                [
                                    "function": [
                                        "name": .string(call.name),
                                        "arguments": .string(call.arguments),
                                    ]
                                ]
                            })
                    }
                    found["message"] = .object(message)
                } else {
                    found["text"] = .string(choice.content)
                }
                if !choice.logprobs.isEmpty {
                    found["logprobs"] = ["content": .array(choice.logprobs)]
                }
                found["finish_reason"] = choice.finish
                return .object(found)
            })
        if let usage { object["usage"] = usage }
        if let error { object["error"] = error }
        if !isWhole { object["cut"] = true }
        return .object(object)
    }
}
