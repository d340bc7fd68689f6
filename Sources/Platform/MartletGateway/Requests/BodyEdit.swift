// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// Other text in place of some of a body.
package struct BodyEdit: Sendable, Hashable {
    package let range: Range<Int>
    package let text: [UInt8]

    package init(range: Range<Int>, text: [UInt8]) {
        self.range = range
        self.text = text
    }

    /// By how much the body becomes longer.
    package var growth: Int { text.count - range.count }
}

extension RequestMembers {
    private static let question = Array(#"{"include_usage":true}"#.utf8)

    /// What makes a stream of completions say at its end what it used: OpenAI's `stream_options`.
    /// Nil when the body asks for no stream, asks for that itself, or is not whole.
    package var usageQuestion: BodyEdit? {
        guard isWhole, isStream, let stream = streamRange else { return nil }
        guard let options = streamOptions else {
            return BodyEdit(
                range: stream.upperBound..<stream.upperBound,
                text: Array(#","stream_options":"#.utf8) + RequestMembers.question)
        }
        switch options.json {
        case .null?: return BodyEdit(range: options.range, text: RequestMembers.question)
        case .object(var object)?:
            if case .bool(true)? = object["include_usage"] { return nil }
            object["include_usage"] = .bool(true)
            return BodyEdit(range: options.range, text: JSONValue.object(object).serialized())
        // Whoever reads it refuses it.
        default: return nil
        }
    }
}
