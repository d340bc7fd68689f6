// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import Synchronization

/// Makes constraints of answers' formats; a format is compiled once while it is in use.
final class AnswerFormatCache: Sendable {
    /// Stands for a format whatever its size: two hashes with keys of this process's own.
    private struct Key: Hashable {
        private let first: Int
        private let second: Int
        private let size: Int

        init(_ format: AnswerFormat) {
            let (kind, bytes) = format.spelling
            func hash(_ salt: UInt8) -> Int {
                var hasher = Hasher()
                hasher.combine(salt)
                hasher.combine(kind)
                unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
                return hasher.finalize()
            }
            first = hash(1)
            second = hash(2)
            size = bytes.count
        }
    }

    private struct State {
        var index: VocabularyIndex?
        var formats: [Key: CompiledFormat] = [:]
        /// The least recently used first.
        var order: [Key] = []
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
        let key = Key(format)
        if let known = state.withLock({ state -> CompiledFormat? in
            guard let known = state.formats[key] else { return nil }
            state.order.removeAll { $0 == key }
            state.order.append(key)
            return known
        }) {
            return FormatConstraint(known, text)
        }
        // Compiled without the lock: others go on meanwhile.
        let index = state.withLock { $0.index } ?? VocabularyIndex(text)
        let compiled = try CompiledFormat(format, index)
        state.withLock { state in
            state.index = index
            if state.formats.updateValue(compiled, forKey: key) == nil {
                state.order.append(key)
            }
            if state.order.count > AnswerFormatCache.formatCountMax {
                state.formats[state.order.removeFirst()] = nil
            }
        }
        return FormatConstraint(compiled, text)
    }
}

extension AnswerFormat {
    /// What tells formats apart; the order of a schema's members does.
    fileprivate var spelling: (kind: UInt8, bytes: [UInt8]) {
        switch self {
        case .text: (0, [])
        case .json: (1, [])
        case .schema(let schema): (2, schema.serialized())
        case .regex(let pattern): (3, Array(pattern.utf8))
        case .choice(let choices):
            (4, JSONValue.array(choices.map { .string($0) }).serialized())
        case .grammar(let grammar): (5, Array(grammar.utf8))
        }
    }
}
