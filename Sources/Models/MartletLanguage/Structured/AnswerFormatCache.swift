// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// Makes constraints of answers' formats; a format is compiled once while it is in use.
final class AnswerFormatCache: Sendable {
    private struct State {
        var index: VocabularyIndex?
        var formats: [AnswerFormat: CompiledFormat] = [:]
        /// The least recently used first.
        var order: [AnswerFormat] = []
    }

    private static let formatCountMax = 32
    private let text: LanguageText
    private let state = Mutex(State())

    init(_ text: LanguageText) {
        self.text = text
    }

    /// Nil where any answer will do.
    /// - Throws: `LanguageError` for a format that is none, or too large.
    func constraint(_ format: AnswerFormat) throws(LanguageError) -> (any TokenConstraint)? {
        guard format != .text else { return nil }
        if let known = state.withLock({ state -> CompiledFormat? in
            guard let known = state.formats[format] else { return nil }
            state.order.removeAll { $0 == format }
            state.order.append(format)
            return known
        }) {
            return FormatConstraint(known, text)
        }
        // Compiled without the lock: others go on meanwhile.
        let index = state.withLock { $0.index } ?? VocabularyIndex(text)
        let compiled = try CompiledFormat(format, index)
        state.withLock { state in
            state.index = index
            if state.formats.updateValue(compiled, forKey: format) == nil {
                state.order.append(format)
            }
            if state.order.count > AnswerFormatCache.formatCountMax {
                state.formats[state.order.removeFirst()] = nil
            }
        }
        return FormatConstraint(compiled, text)
    }
}
