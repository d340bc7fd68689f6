// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
package import MartletResilience

/// How one attempt at an upstream failed before anything of it reached the client.
package struct AttemptFailure: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// Nobody of the pool can be asked.
        case nobody
        /// The request never left.
        case connect
        /// The connection ended before the answer.
        case noAnswer
        /// No answer within the attempt's time.
        case timeout
        /// It answered with this status.
        case status(Int)
        /// What it sent is no answer: broken framing, an error as a stream's first event.
        case broken
    }

    package var kind: Kind
    package var message: String
    /// How long the upstream asks to be left alone.
    package var retryAfter: Duration?

    package init(_ kind: Kind, _ message: String, retryAfter: Duration? = nil) {
        self.kind = kind
        self.message = message
        self.retryAfter = retryAfter
    }

    /// Whether it speaks against the upstream: a client's own mistake does not.
    package var outcome: CircuitBreaker.Outcome {
        switch kind {
        case .nobody: .neutral
        case .connect, .noAnswer, .timeout, .broken: .failure
        case .status(let status): status >= 500 ? .failure : .neutral
        }
    }

    /// What the client is told: nothing of where servers are or how they were asked.
    package var publicMessage: String {
        switch kind {
        case .nobody: "the model has no server that can take the request now"
        case .connect: "the model's server cannot be reached"
        case .noAnswer, .broken: "the model's server did not answer as it should"
        // These texts are ours.
        case .timeout: message
        case .status(let status): "the model's server answered \(status)"
        }
    }

    /// The status that the client gets when nothing else can be done.
    package var status: Int {
        switch kind {
        case .nobody: 503
        case .connect, .noAnswer, .broken: 502
        case .timeout: 504
        case .status(let status): status
        }
    }

    /// Statuses that another attempt may cure. 501 and 505 are for ever, and what is wrong with a
    /// request (400 to 428) is so everywhere.
    package static func mayRetry(status: Int) -> Bool {
        switch status {
        case 429, 500, 502, 503, 504, 529: true
        default: false
        }
    }

    /// Whether asking again can help, and is allowed: what never left may always be repeated; the
    /// rest only when the request changes nothing (`isRepeatable`) and is still held whole.
    package func mayRetry(isRepeatable: Bool, isReplayable: Bool) -> Bool {
        guard isReplayable else { return false }
        switch kind {
        case .connect, .nobody: return true
        case .noAnswer, .timeout, .broken: return isRepeatable
        case .status(let status):
            return AttemptFailure.mayRetry(status: status) && (isRepeatable || status == 429)
        }
    }
}

/// What may be asked twice without harm.
package enum RepeatableRequest {
    /// Methods that change nothing (RFC 9110 §9.2.2), and the paths of inference, where a repeated
    /// question costs but harms nobody.
    package static func holds(method: String, path: String) -> Bool {
        switch method {
        case "GET", "HEAD", "OPTIONS", "PUT", "DELETE": return true
        case "POST":
            return inferencePaths.contains(path) || path.hasPrefix(inferenceCalls)
                || (path.hasPrefix("/v2/models/")
                    && (path.hasSuffix("/infer") || path.hasSuffix("/generate")
                        || path.hasSuffix("/generate_stream")))
        default: return false
        }
    }

    /// gRPC's, whose other methods are repeatable too: to load a model twice is to have it once.
    private static let inferenceCalls = "/inference.GRPCInferenceService/"

    private static let inferencePaths: Set<String> = [
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses",
        "/v1/rerank", "/v1/messages", "/v1/moderations", "/rerank", "/v1/score",
    ]
}
