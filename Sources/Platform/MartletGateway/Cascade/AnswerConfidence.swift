// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletJSON

/// Reads out of an answer how sure its model was.
package enum AnswerConfidence {
    /// Nil when the answer does not say: then nothing vouches for it.
    package static func of(
        _ answer: ComparedAnswer, by measure: CascadePolicy.Measure
    ) -> Double? {
        guard answer.status == 200 else { return nil }
        let found: Double?
        switch measure {
        case .logprob: found = AnswerDocument.value(answer).flatMap(meanLogprob)
        case .tokenMargin: found = AnswerDocument.value(answer).flatMap(meanMargin)
        case .probability(let output):
            found = tensor(answer, output).flatMap { best($0)?.first }
        case .margin(let output):
            found = tensor(answer, output).flatMap { best($0) }.map { $0.first - $0.second }
        case .field(let path):
            found = AnswerDocument.value(answer)
                .flatMap { RequestDescription.field(path, in: $0) }.flatMap { Double($0) }
        }
        return found.flatMap { $0.isFinite ? $0 : nil }
    }

    /// Over all tokens of all choices: the worst choice decides.
    private static func meanLogprob(_ document: JSONValue) -> Double? {
        worst(document) { choice in
            let tokens = choice["logprobs"]?["content"]?.arrayValue
            let numbers =
                tokens?.compactMap { $0["logprob"]?.doubleValue }
                ?? choice["logprobs"]?["token_logprobs"]?.arrayValue?.compactMap(\.doubleValue)
            guard let numbers, !numbers.isEmpty else { return nil }
            return numbers.reduce(0, +) / Double(numbers.count)
        }
    }

    private static func meanMargin(_ document: JSONValue) -> Double? {
        worst(document) { choice in
            guard let tokens = choice["logprobs"]?["content"]?.arrayValue, !tokens.isEmpty else {
                return nil
            }
            var sum = 0.0
            for token in tokens {
                let top = (token["top_logprobs"]?.arrayValue ?? [])
                    .compactMap { $0["logprob"]?.doubleValue }.map { exp($0) }
                guard let best = best(top) else { return nil }
                sum += best.first - best.second
            }
            return sum / Double(tokens.count)
        }
    }

    private static func worst(
        _ document: JSONValue, _ measure: (JSONValue) -> Double?
    ) -> Double? {
        guard let choices = document["choices"]?.arrayValue, !choices.isEmpty else { return nil }
        var least = Double.infinity
        for choice in choices {
            guard let value = measure(choice) else { return nil }
            least = min(least, value)
        }
        return least
    }

    private static func tensor(_ answer: ComparedAnswer, _ output: String?) -> [Double]? {
        let tensors = AnswerDocument(answer).tensors
        guard let output else { return tensors.first?.values }
        return tensors.first { $0.name == "outputs.\(output)" }?.values
    }

    private static func best(_ values: [Double]) -> (first: Double, second: Double)? {
        guard values.count >= 2 else { return values.first.map { ($0, 0) } }
        var (first, second) = (-Double.infinity, -Double.infinity)
        for value in values {
            guard !value.isNaN else { return nil }
            if value > first {
                (first, second) = (value, first)
            } else if value > second {
                second = value
            }
        }
        return (first, second)
    }
}

/// What the small model is asked in addition, so that its answer says how sure it is.
package enum CascadeRequest {
    /// The body with `logprobs` (and two `top_logprobs`) put in at its end, where nothing that was
    /// found in it moves; nil when it is to go as it is.
    package static func asking(
        _ body: [UInt8], for measure: CascadePolicy.Measure, path: String
    ) -> [UInt8]? {
        let isChat = path.hasSuffix("/chat/completions")
        guard isChat || path.hasSuffix("/completions"),
            let object = (try? JSONValue(parsing: body))?.objectValue,
            let end = body.lastIndex(of: UInt8(ascii: "}"))
        else { return nil }
        var more: [String] = []
        switch measure {
        case .logprob:
            if object["logprobs"] == nil {
                more.append(isChat ? "\"logprobs\":true" : "\"logprobs\":1")
            }
        case .tokenMargin:
            guard isChat else { return nil }
            if object["logprobs"] == nil { more.append("\"logprobs\":true") }
            if object["top_logprobs"] == nil { more.append("\"top_logprobs\":2") }
        case .probability, .margin, .field: return nil
        }
        guard !more.isEmpty else { return nil }
        let text = (object.isEmpty ? "" : ",") + more.joined(separator: ",")
        return body[..<end] + Array(text.utf8) + body[end...]
    }
}
