// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletResilience

/// What the gateway reads out of a request's JSON body as it goes by.
package struct RequestMembers: Sendable {
    private enum Place {
        static let model = 0, stream = 1, maxTokens = 2, maxCompletionTokens = 3, user = 4
        static let count = 5, bestOf = 6, maxOutputTokens = 7, streamOptions = 8
    }

    private static let names: [StaticString] = [
        "model", "stream", "max_tokens", "max_completion_tokens", "user", "n", "best_of",
        "max_output_tokens", "stream_options",
    ]

    package private(set) var scanner = MemberScanner(names: RequestMembers.names)

    package init() {}

    package mutating func reset() { scanner.reset() }
    package mutating func read(_ bytes: UnsafeRawBufferPointer) { unsafe scanner.read(bytes) }

    package var hasModel: Bool { scanner.has(Place.model) }
    package var model: String? { scanner[Place.model]?.string }
    /// Where the model's name stands in the body, quotes included.
    package var modelRange: Range<Int>? { scanner.range(Place.model) }
    package var user: String? { scanner[Place.user]?.string }
    var streamRange: Range<Int>? { scanner.range(Place.stream) }
    var streamOptions: MemberScanner.Member? { scanner[Place.streamOptions] }
    /// All of the body has been read.
    var isWhole: Bool { scanner.isComplete && !scanner.hasDuplicate }
    package var isStream: Bool { scanner[Place.stream]?.isTrue ?? false }
    /// Asked for once per key by whoever reads JSON strictly; twice by whoever wants two readers to
    /// see two things.
    package var hasDuplicate: Bool { scanner.hasDuplicate }

    /// What a request is routed by.
    package struct Summary: Sendable {
        package var hasDuplicate = false
        package var hasModel = false
        /// The model's name, quotes included, is the one that was asked about.
        package var isKnownModel = false
        package var modelRange: Range<Int>?
        package var user: String?
        package var outputTokensMax: Int?
        /// It says whether it wants a stream.
        package var hasStream = false
    }

    /// All of it at once, read in place.
    /// - Parameter known: a model's name as it is written, quotes included.
    package mutating func summary(known: [UInt8]) -> Summary {
        var summary = Summary()
        summary.hasDuplicate = scanner.hasDuplicate
        summary.modelRange = scanner.range(Place.model)
        summary.hasModel = summary.modelRange != nil
        summary.hasStream = scanner.has(Place.stream)
        if let range = summary.modelRange, range.count == known.count {
            unsafe scanner.withText(Place.model) { name in
                summary.isKnownModel =
                    unsafe name.count == known.count
                    && known.withUnsafeBytes { known in
                        guard let one = name.baseAddress, let other = known.baseAddress else {
                            return false
                        }
                        return unsafe memcmp(one, other, name.count) == 0
                    }
            }
        }
        if scanner.has(Place.user) { summary.user = user }
        if scanner.has(Place.maxTokens) || scanner.has(Place.maxCompletionTokens)
            || scanner.has(Place.maxOutputTokens)
        {
            summary.outputTokensMax = outputTokensMax
        }
        return summary
    }

    /// The model's name as it is written, quotes included.
    package var modelText: [UInt8] { scanner[Place.model]?.text ?? [] }

    /// The most tokens that the answers may have, all of them together; nil when it is not said.
    /// Of several limits the largest counts: servers differ in which one they take.
    package var outputTokensMax: Int? {
        var each: Int?
        for place in [Place.maxTokens, Place.maxCompletionTokens, Place.maxOutputTokens] {
            guard let count = scanner[place]?.count else { continue }
            each = max(each ?? 0, count)
        }
        return each.map { $0.multipliedSaturating(by: answerCount) }
    }

    /// Answers that are made, which is more than are told of with `best_of`.
    private var answerCount: Int {
        max(scanner[Place.count]?.count ?? 1, scanner[Place.bestOf]?.count ?? 1, 1)
    }

    /// Answers that were asked for.
    package var choiceCount: Int { max(scanner[Place.count]?.count ?? 1, 1) }
}
