// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletLanguage

/// Makes constraints of answers' formats.
struct AnswerFormatCache: Sendable {
    init(_ text: LanguageText) {}

    /// Nil where any answer will do.
    func constraint(_ format: AnswerFormat) throws(ServingError) -> (any TokenConstraint)? {
        guard format == .text else {
            throw ServingError(.unsupported, "structured answers are not supported")
        }
        return nil
    }
}
