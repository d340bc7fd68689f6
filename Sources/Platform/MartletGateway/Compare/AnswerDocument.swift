// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// An answer as it is compared: its document without what is compared as numbers, tool calls by
/// name and arguments, its text, its tensors.
struct AnswerDocument {
    private(set) var json: JSONValue
    private(set) var tensors: [(name: String, values: [Double])] = []
    let usage: TokenUsage?
    let isFailure: Bool

    init(_ answer: ComparedAnswer) {
        let (found, binary) = AnswerDocument.read(answer)
        isFailure = answer.status != 200 || found == nil
        usage = found?["usage"].flatMap(TokenUsage.init(json:))
        guard answer.status == 200, let found else {
            json = [
                "status": .integer(Int64(answer.status)),
                "body": found
                    ?? .string(String(decoding: answer.body.prefix(1_000), as: UTF8.self)),
            ]
            return
        }
        json = found
        guard let object = found.objectValue else { return }
        var changed = JSONObject()
        for (name, value) in object {
            switch name {
            case "choices": changed[name] = AnswerDocument.choices(value)
            case "data": changed[name] = takeEmbeddings(value)
            case "outputs": changed[name] = takeOutputs(value, binary)
            default: changed[name] = value
            }
        }
        json = .object(changed)
    }

    /// The document and the bytes behind it.
    private static func read(_ answer: ComparedAnswer) -> (JSONValue?, ArraySlice<UInt8>) {
        if let document = answer.document { return (document, []) }
        var limits = JSONLimits()
        limits.acceptsNonFinite = true
        let end = answer.headerLength.map { min(max($0, 0), answer.body.count) }
        let text = end.map { Array(answer.body[..<$0]) } ?? answer.body
        let binary = answer.body[(end ?? answer.body.count)...]
        return (try? JSONValue(parsing: text, limits: limits), binary)
    }

    /// An answer's JSON as it came.
    static func value(_ answer: ComparedAnswer) -> JSONValue? { read(answer).0 }

    /// The first choice's text.
    var text: String? {
        let choice = json["choices"]?[0]
        return choice?["message"]?["content"]?.stringValue ?? choice?["text"]?.stringValue
    }

    // MARK: Choices

    private static func choices(_ value: JSONValue) -> JSONValue {
        guard let choices = value.arrayValue else { return value }
        return .array(
            choices.map { choice in
                guard var object = choice.objectValue,
                    var message = object["message"]?.objectValue,
                    let calls = message["tool_calls"]?.arrayValue
                else { return choice }
                message["tool_calls"] = .array(calls.map(call))
                object["message"] = .object(message)
                return .object(object)
            })
    }

    /// A tool call's name and arguments; its id is drawn anew each time.
    private static func call(_ value: JSONValue) -> JSONValue {
        guard let function = value["function"] else { return value }
        let arguments = function["arguments"] ?? .null
        let parsed = arguments.stringValue.flatMap { try? JSONValue(parsing: $0) }
        return ["name": function["name"] ?? .null, "arguments": parsed ?? arguments]
    }

    // MARK: Tensors

    private mutating func takeEmbeddings(_ value: JSONValue) -> JSONValue {
        guard let rows = value.arrayValue else { return value }
        return .array(
            rows.enumerated().map { index, row in
                guard var object = row.objectValue, let found = object["embedding"],
                    let values = AnswerDocument.numbers(found)
                        ?? found.stringValue.flatMap(TensorBytes.base64Floats)
                else { return row }
                tensors.append(("data[\(index)].embedding", values))
                object["embedding"] = ["dimensions": .integer(Int64(values.count))]
                return .object(object)
            })
    }

    private mutating func takeOutputs(
        _ value: JSONValue, _ binary: ArraySlice<UInt8>
    ) -> JSONValue {
        guard let outputs = value.arrayValue else { return value }
        var rest = binary
        var kept: [JSONValue] = []
        for (index, output) in outputs.enumerated() {
            guard var object = output.objectValue else {
                kept.append(output)
                continue
            }
            let name = object["name"]?.stringValue ?? "\(index)"
            var parameters = object["parameters"]?.objectValue
            if let size = parameters?["binary_data_size"]?.intValue, size >= 0 {
                let bytes = rest.prefix(size)
                rest = rest.dropFirst(size)
                let type = object["datatype"]?.stringValue ?? ""
                if bytes.count == size, let values = TensorBytes.values(bytes, type) {
                    tensors.append(("outputs.\(name)", values))
                } else {
                    object["data"] = .string(String(decoding: bytes, as: UTF8.self))
                }
                parameters?["binary_data_size"] = nil
                object["parameters"] =
                    parameters?.isEmpty ?? true ? nil : parameters.map { .object($0) }
            } else if let values = object["data"].flatMap(AnswerDocument.numbers) {
                tensors.append(("outputs.\(name)", values))
                object["data"] = nil
            }
            kept.append(.object(object))
        }
        // Outputs are known by their names, not by their places.
        kept.sort { ($0["name"]?.stringValue ?? "") < ($1["name"]?.stringValue ?? "") }
        return .array(kept)
    }

    /// Numbers, lists in lists laid flat; nil for anything else.
    private static func numbers(_ value: JSONValue) -> [Double]? {
        guard let elements = value.arrayValue, !elements.isEmpty else { return nil }
        var flat: [Double] = []
        flat.reserveCapacity(elements.count)
        for element in elements {
            if let number = element.doubleValue {
                flat.append(number)
            } else if let inner = numbers(element) {
                flat += inner
            } else {
                return nil
            }
        }
        return flat
    }
}
