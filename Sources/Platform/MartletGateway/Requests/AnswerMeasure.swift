// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What tokens have to do with a path.
package enum TokenRoute: Sendable, Hashable {
    /// Text is read and written.
    case completions, responses, messages
    /// Text is read.
    case embeddings
    case other

    package init(path: String) {
        self =
            path.hasSuffix("/completions")
            ? .completions
            : path.hasSuffix("/responses")
                ? .responses
                : path.hasSuffix("/messages")
                    ? .messages : path.hasSuffix("/embeddings") ? .embeddings : .other
    }

    /// Its event streams say themselves where they end.
    package var endsStreams: Bool {
        switch self {
        case .completions, .responses, .messages: true
        case .embeddings, .other: false
        }
    }
}

/// What there is to go by when an answer does not say what it used.
package struct AnswerMeasure: Sendable {
    /// As far as a reservation is believed when nothing else is known.
    private static let reservedMax = 1 << 20

    package var route: TokenRoute
    /// The tokens of the request, by its length.
    package var inputEstimate = 0
    /// What the answer said of its input.
    package var input: Int?
    package var answerBytes = 0
    /// It came compressed, though it was asked not to.
    package var isCoded = false
    /// What was reserved for its output.
    package var reservedOutput = 0
    package var isEventStream = false
    package var contentEvents = 0
    /// It told of an error, or ended in the middle.
    package var hasFailed = false

    package init(route: TokenRoute) { self.route = route }

    /// What is billed; nil for an answer that failed before anything came of it. An estimate
    /// wherever tokens are read or written, none elsewhere: there only the request counts.
    package var usage: TokenUsage? {
        guard route != .other else { return TokenUsage(input: 0, output: 0) }
        let input = input ?? inputEstimate
        let output: Int
        if isCoded {
            guard answerBytes > 0 else { return nil }
            output =
                reservedOutput <= AnswerMeasure.reservedMax ? reservedOutput : answerBytes
        } else if isEventStream {
            guard contentEvents > 0 || !hasFailed else { return nil }
            output = contentEvents
        } else {
            guard answerBytes > 0 || !hasFailed else { return nil }
            output = TokenUsage.estimate(bytes: answerBytes)
        }
        return TokenUsage(
            input: input, output: route == .embeddings ? 0 : output, isEstimated: true)
    }
}
