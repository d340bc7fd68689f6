// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

/// Which of a model's answers are kept, how long, and how many.
package struct CachePolicy: Sendable, Hashable {
    package enum Use: String, Sendable, CaseIterable {
        /// Requests whose answer is the same every time: temperature 0, embeddings, tensors.
        case deterministic
        /// Only requests that ask for it (`X-Cache: use`).
        case asked
        case all
        /// Everything is kept, and given only when nobody can answer.
        case fallback
    }

    package var use = Use.deterministic
    package var limits = ExactCache<Int>.Policy()
    /// How long a request waits for another's answer to the same question before it asks itself.
    package var wait: Duration = .seconds(30)
    /// Header fields (lower case) that answers depend on, beyond those that every answer does.
    package var vary: [String] = []
    /// Whether replicas share what they keep, where there is something to share it by.
    package var isShared = true

    package init() {}
}

/// What one request may have of a cache.
package enum CacheLeave: Sendable, Hashable {
    case none
    /// Look, and keep.
    case full
    /// Keep, and give only when nobody can answer.
    case keepOnly

    /// Paths whose answers depend on nothing but the request.
    private static let deterministicPaths: Set<String> = [
        "/v1/embeddings", "/v1/rerank", "/rerank", "/v1/score", "/v1/moderations",
        "/tokenize", "/detokenize",
    ]

    /// - Parameters:
    ///   - isAsked: the request asks for the cache itself.
    ///   - body: whole.
    package init(
        _ policy: CachePolicy, path: String, isAsked: Bool, body: JSONValue
    ) {
        guard body.objectValue != nil, RepeatableRequest.holds(method: "POST", path: path)
        else {
            self = .none
            return
        }
        switch policy.use {
        case .all: self = .full
        case .fallback: self = isAsked ? .full : .keepOnly
        case .asked: self = isAsked ? .full : .none
        case .deterministic:
            self =
                isAsked || CacheLeave.isDeterministic(path: path, body: body) ? .full : .none
        }
    }

    private static func isDeterministic(path: String, body: JSONValue) -> Bool {
        if deterministicPaths.contains(path) { return true }
        if path.hasPrefix("/v2/models/") {
            return path.hasSuffix("/infer")
                || body["parameters"]?["temperature"]?.doubleValue == 0
        }
        return body["temperature"]?.doubleValue == 0
    }
}
