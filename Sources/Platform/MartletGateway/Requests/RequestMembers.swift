// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What the gateway reads out of a request's JSON body as it goes by.
package struct RequestMembers: Sendable {
    private enum Place {
        static let model = 0, stream = 1, maxTokens = 2, maxCompletionTokens = 3, user = 4
        static let count = 5
    }

    package private(set) var scanner = MemberScanner(names: [
        "model", "stream", "max_tokens", "max_completion_tokens", "user", "n",
    ])

    package init() {}

    package mutating func reset() { scanner.reset() }
    package mutating func read(_ bytes: UnsafeRawBufferPointer) { unsafe scanner.read(bytes) }

    package var hasModel: Bool { scanner.members[Place.model] != nil }
    package var model: String? { scanner.members[Place.model]?.string }
    /// Where the model's name stands in the body, quotes included.
    package var modelRange: Range<Int>? { scanner.members[Place.model]?.range }
    package var user: String? { scanner.members[Place.user]?.string }
    package var isStream: Bool { scanner.members[Place.stream]?.isTrue ?? false }
    /// Asked for once per key by whoever reads JSON strictly; twice by whoever wants two readers to
    /// see two things.
    package var hasDuplicate: Bool { scanner.hasDuplicate }

    /// The most tokens that the answers may have, all of them together; nil when it is not said.
    package var outputTokensMax: Int? {
        let each =
            scanner.members[Place.maxCompletionTokens]?.integer
            ?? scanner.members[Place.maxTokens]?.integer
        guard let each else { return nil }
        let count = max(scanner.members[Place.count]?.integer ?? 1, 1)
        let (product, overflow) = each.multipliedReportingOverflow(by: count)
        return overflow ? Int.max : product
    }
}
