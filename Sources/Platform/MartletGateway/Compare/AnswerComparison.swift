// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// One answer of one side, whole.
package struct ComparedAnswer: Sendable {
    package var status: Int
    package var body: [UInt8]
    package var latency: Duration

    package init(status: Int, body: [UInt8], latency: Duration) {
        self.status = status
        self.body = body
        self.latency = latency
    }
}

/// Compares whole answers: documents member by member, texts by words, tensors by tolerance.
package enum AnswerComparison {
    /// What differs between any two answers and says nothing.
    package static let ignored: Set<String> = [
        "$.id", "$.created", "$.usage", "$.system_fingerprint",
    ]

    /// - Parameter again: a second answer of the primary, for the noise.
    package static func compare(
        id: String, primary: ComparedAnswer, candidate: ComparedAnswer,
        again: ComparedAnswer? = nil, price: GatewayConfiguration.Price? = nil,
        candidatePrice: GatewayConfiguration.Price? = nil
    ) -> ExchangeComparison {
        var result = ExchangeComparison(
            id: id, primaryLatency: primary.latency, candidateLatency: candidate.latency)
        let one = document(primary)
        let other = document(candidate)
        result.differences = differences(one, other)
        result.noise = again.map { differences(one, document($0)) }
        if let before = text(one), let after = text(other) {
            result.text = TextDistance(before, after)
        }
        result.tensors = tensors(one, other)
        if let usage = one["usage"].flatMap(TokenUsage.init(json:)) {
            result.primaryTokens = usage.total
            result.primaryCost = cost(usage, price)
        }
        if let usage = other["usage"].flatMap(TokenUsage.init(json:)) {
            result.candidateTokens = usage.total
            result.candidateCost = cost(usage, candidatePrice)
        }
        return result
    }

    private static func differences(_ one: JSONValue, _ other: JSONValue) -> [JSONDifference] {
        var options = JSONComparison.Options()
        options.ignored = ignored
        options.absoluteTolerance = 1e-6
        options.relativeTolerance = 1e-5
        return JSONComparison(one, other, options: options).differences
    }

    /// What is compared of an answer: its document, or what went wrong.
    private static func document(_ answer: ComparedAnswer) -> JSONValue {
        let parsed = try? JSONValue(parsing: answer.body)
        if answer.status == 200, let parsed { return parsed }
        return [
            "status": .integer(Int64(answer.status)),
            "body": parsed ?? .string(String(decoding: answer.body.prefix(1_000), as: UTF8.self)),
        ]
    }

    /// The first choice's text.
    private static func text(_ document: JSONValue) -> String? {
        let choice = document["choices"]?[0]
        return choice?["message"]?["content"]?.stringValue ?? choice?["text"]?.stringValue
    }

    /// Embeddings and output tensors, aligned by place.
    private static func tensors(_ one: JSONValue, _ other: JSONValue) -> [TensorComparison] {
        var found: [TensorComparison] = []
        for (list, member) in [("data", "embedding"), ("outputs", "data")] {
            let before = one[list]?.arrayValue ?? []
            let after = other[list]?.arrayValue ?? []
            for (left, right) in zip(before, after) {
                guard let left = numbers(left[member]), let right = numbers(right[member]),
                    let tensor = TensorComparison(left.span, right.span)
                else { continue }
                found.append(tensor)
            }
        }
        return found
    }

    private static func numbers(_ value: JSONValue?) -> [Double]? {
        guard let elements = value?.arrayValue, !elements.isEmpty else { return nil }
        let numbers = elements.compactMap(\.doubleValue)
        return numbers.count == elements.count ? numbers : nil
    }

    /// In millionths of the currency's unit.
    private static func cost(_ usage: TokenUsage, _ price: GatewayConfiguration.Price?) -> Int64 {
        guard let price else { return 0 }
        let input = Int64(clamping: usage.input).multipliedReportingOverflow(by: price.input)
        let output = Int64(clamping: usage.output).multipliedReportingOverflow(by: price.output)
        return (input.partialValue / 1_000_000) &+ (output.partialValue / 1_000_000)
    }
}
