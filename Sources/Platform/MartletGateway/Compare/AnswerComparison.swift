// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

/// One answer of one side, whole.
package struct ComparedAnswer: Sendable {
    package var status: Int
    package var body: [UInt8]
    package var latency: Duration
    /// To the first byte of the body.
    package var firstByte: Duration?
    /// Bytes of JSON before binary tensors (`Inference-Header-Content-Length`).
    package var headerLength: Int?
    /// An event stream put together; then `body` is empty.
    package var document: JSONValue?

    package init(
        status: Int, body: [UInt8], latency: Duration, firstByte: Duration? = nil,
        headerLength: Int? = nil, document: JSONValue? = nil
    ) {
        self.status = status
        self.body = body
        self.latency = latency
        self.firstByte = firstByte
        self.headerLength = headerLength
        self.document = document
    }
}

/// Compares whole answers: documents member by member, texts by words, code as trees, tool calls
/// by name and arguments, tensors by tolerance.
package enum AnswerComparison {
    /// What differs between any two answers and says nothing.
    package static let ignored: Set<String> = [
        "$.id", "$.created", "$.usage", "$.system_fingerprint",
    ]

    /// - Parameters:
    ///   - again: a second answer of the primary, for the noise.
    ///   - request: the request's body, of which a beginning is kept with the worst cases.
    package static func compare(
        id: String, primary: ComparedAnswer, candidate: ComparedAnswer,
        again: ComparedAnswer? = nil, price: GatewayConfiguration.Price? = nil,
        candidatePrice: GatewayConfiguration.Price? = nil, request: [UInt8] = []
    ) -> ExchangeComparison {
        var result = ExchangeComparison(
            id: id, primaryLatency: primary.latency, candidateLatency: candidate.latency)
        result.primaryFirstByte = primary.firstByte
        result.candidateFirstByte = candidate.firstByte
        let one = AnswerDocument(primary)
        let other = AnswerDocument(candidate)
        result.tensors = tensors(one, other).map(\.tensor)
        result.differences = differences(one, other)
        result.noise = again.map { differences(one, AnswerDocument($0)) }
        if let before = one.text, let after = other.text {
            result.text = TextDistance(before, after)
            result.code = CodeAnswer.compare(CodeAnswer(before), CodeAnswer(after))
        }
        if let usage = one.usage {
            result.primaryTokens = usage.total
            result.primaryCost = cost(usage, price)
        }
        if let usage = other.usage {
            result.candidateTokens = usage.total
            result.candidateCost = cost(usage, candidatePrice)
        }
        result.request = ComparisonSample.beginning(request)
        result.before = ComparisonSample.beginning(one.json)
        result.after = ComparisonSample.beginning(other.json)
        return result
    }

    private static func differences(
        _ one: AnswerDocument, _ other: AnswerDocument
    ) -> [JSONDifference] {
        var options = JSONComparison.Options()
        options.ignored = ignored
        options.absoluteTolerance = 1e-6
        options.relativeTolerance = 1e-5
        options.areSameTexts = { CodeAnswer.areSame($0, $1) }
        var found = JSONComparison(one.json, other.json, options: options).differences
        for (name, tensor) in tensors(one, other) where !tensor.isWithin {
            found.append(difference(name, tensor))
        }
        return found
    }

    /// A tensor out of tolerance, as a difference at its place.
    private static func difference(_ name: String, _ tensor: TensorComparison) -> JSONDifference {
        var pattern = name
        if name.hasPrefix("data["), let end = name.firstIndex(of: "]") {
            pattern = "data[*]" + name[name.index(after: end)...]
        }
        return JSONDifference(
            kind: .changed, path: "$.\(name)", pattern: "$.\(pattern)", before: nil,
            after: [
                "outside": .integer(Int64(tensor.outside)), "of": .integer(Int64(tensor.count)),
                "absolute_max": .number(tensor.absoluteMax),
                "cosine": tensor.cosine.map { .number($0) } ?? .null,
            ])
    }

    /// Tensors of the same name and size.
    private static func tensors(
        _ one: AnswerDocument, _ other: AnswerDocument
    ) -> [(name: String, tensor: TensorComparison)] {
        var found: [(String, TensorComparison)] = []
        let byName = Dictionary(
            other.tensors.map { ($0.name, $0.values) }, uniquingKeysWith: { first, _ in first })
        for (name, before) in one.tensors {
            guard let after = byName[name],
                let tensor = TensorComparison(before.span, after.span)
            else { continue }
            found.append((name, tensor))
        }
        return found
    }

    /// In millionths of the currency's unit.
    private static func cost(_ usage: TokenUsage, _ price: GatewayConfiguration.Price?) -> Int64 {
        guard let price else { return 0 }
        let input = Int64(clamping: usage.input).multipliedReportingOverflow(by: price.input)
        let output = Int64(clamping: usage.output).multipliedReportingOverflow(by: price.output)
        return (input.partialValue / 1_000_000) &+ (output.partialValue / 1_000_000)
    }
}
