// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

/// What one request used.
package struct TokenUsage: Sendable, Hashable {
    package var input: Int
    package var output: Int
    /// Counted here, because the upstream did not say.
    package var isEstimated: Bool

    package init(input: Int, output: Int, isEstimated: Bool = false) {
        self.input = input
        self.output = output
        self.isEstimated = isEstimated
    }

    package var total: Int {
        let (sum, overflow) = input.addingReportingOverflow(output)
        return overflow ? Int.max : sum
    }

    /// Tokens in so many bytes of text, when nobody counts them: four bytes a token is what
    /// English text comes to with common tokenizers.
    package static func estimate(bytes: Int) -> Int { bytes <= 0 ? 0 : (bytes + 3) / 4 }

    /// Reads OpenAI's `usage` object (also `input_tokens`, `output_tokens`); nil when it is none.
    package init?(json: JSONValue) {
        guard json.objectValue != nil else { return nil }
        let input = (json["prompt_tokens"] ?? json["input_tokens"])?.intValue
        let output = (json["completion_tokens"] ?? json["output_tokens"])?.intValue
        guard input != nil || output != nil, (input ?? 0) >= 0, (output ?? 0) >= 0 else {
            return nil
        }
        self.init(input: input ?? 0, output: output ?? 0)
    }

    /// Reads the same out of text; nothing is allocated.
    package init?(text: [UInt8]) {
        var input: Int?
        var output: Int?
        let isRead = unsafe text.withUnsafeBytes { bytes -> Bool in
            var scanner = unsafe JSONScanner(bytes)
            do throws(JSONError) {
                guard try scanner.peek() == .object else { return false }
                try scanner.beginObject()
                while let key = try scanner.nextKey() {
                    let isInput = key == "prompt_tokens" || key == "input_tokens"
                    let isOutput = key == "completion_tokens" || key == "output_tokens"
                    guard isInput || isOutput, try scanner.peek() == .number else {
                        try scanner.skipValue()
                        continue
                    }
                    let value = try scanner.readInt()
                    if isInput { input = value } else { output = value }
                }
                return true
            } catch { return false }
        }
        guard isRead, input != nil || output != nil, (input ?? 0) >= 0, (output ?? 0) >= 0 else {
            return nil
        }
        self.init(input: input ?? 0, output: output ?? 0)
    }
}
