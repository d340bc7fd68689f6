// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

/// What one request used. Counts are taken from whoever answers: they are kept between zero and
/// `countMax`.
package struct TokenUsage: Sendable, Hashable {
    /// No request is as large.
    package static let countMax = 1 << 32

    package let input: Int
    package let output: Int
    /// Counted here, because the upstream did not say.
    package var isEstimated: Bool

    package init(input: Int, output: Int, isEstimated: Bool = false) {
        self.input = min(max(input, 0), TokenUsage.countMax)
        self.output = min(max(output, 0), TokenUsage.countMax)
        self.isEstimated = isEstimated
    }

    package var total: Int { input + output }

    /// Tokens in so many bytes of text, when nobody counts them: four bytes a token is what
    /// English text comes to with common tokenizers.
    package static func estimate(bytes: Int) -> Int { bytes <= 0 ? 0 : (bytes + 3) / 4 }

    /// Reads a `usage` object as OpenAI and Anthropic have it; nil when it is none.
    package init?(json: JSONValue) {
        guard json.objectValue != nil else { return nil }
        self.init(text: json.serialized())
    }

    /// Reads the same out of text; nothing is allocated.
    package init?(text: [UInt8]) {
        let found = unsafe text.withUnsafeBytes { unsafe TokenUsage(bytes: $0) }
        guard let found else { return nil }
        self = found
    }

    /// Reads the same out of bytes.
    package init?(bytes: UnsafeRawBufferPointer) {
        guard let members = unsafe UsageMembers.read(bytes) else { return nil }
        guard members.input != nil || members.output != nil else { return nil }
        self.init(input: members.input ?? 0, output: members.output ?? 0)
    }
}
