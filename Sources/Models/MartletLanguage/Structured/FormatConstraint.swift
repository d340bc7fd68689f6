// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// A compiled format: masks of tokens by state, made when a state is first reached.
package final class CompiledFormat: Sendable {
    private struct Work: Sendable {
        var walk: AutomatonWalk
        var masks: [Int32: TokenMask] = [:]
        var states: [Int32] = []
    }

    private static let maskCountMax = 512
    private let work: Mutex<Work>
    private let index: VocabularyIndex

    /// - Throws: `LanguageError` for a format that is none, or too large.
    package init(_ format: AnswerFormat, _ index: VocabularyIndex) throws(LanguageError) {
        var automaton = ByteAutomaton()
        switch format {
        case .text: throw LanguageError(.invalidInput, "a plain text has no format")
        case .json: automaton = try SchemaCompiler.anyObject()
        case .schema(let schema): automaton = try SchemaCompiler.compile(schema)
        case .regex(let pattern):
            try RegexCompiler.add(pattern, automaton.start, automaton.end, to: &automaton)
        case .choice(let choices):
            guard !choices.isEmpty, choices.count <= 4096 else {
                throw LanguageError(.invalidInput, "choice: expected 1 to 4096 texts")
            }
            for choice in choices {
                try automaton.add(automaton.start, choice, automaton.end)
            }
        }
        self.index = index
        work = Mutex(Work(walk: AutomatonWalk(automaton)))
    }

    fileprivate func mask(_ state: Int32) -> TokenMask {
        work.withLock { work in
            if let known = work.masks[state] { return known }
            let mask = compute(state, &work)
            if work.masks.count >= CompiledFormat.maskCountMax { work.masks.removeAll() }
            work.masks[state] = mask
            return mask
        }
    }

    private func compute(_ state: Int32, _ work: inout Work) -> TokenMask {
        var mask = TokenMask(tokenCount: index.vocabularySize)
        guard state >= 0 else { return mask }
        // The states behind each byte of the token at hand.
        work.states = [state]
        for place in index.tokens.indices {
            let common = Int(index.shared[place])
            // A beginning that was refused is refused again.
            if work.states.count <= common { continue }
            work.states.removeSubrange((common + 1)...)
            let start = Int(index.starts[place])
            let end = Int(index.starts[place + 1])
            var isTaken = true
            for offset in (start + common)..<end {
                let next = work.walk.step(work.states[work.states.count - 1], index.bytes[offset])
                guard next >= 0 else {
                    isTaken = false
                    break
                }
                work.states.append(next)
            }
            if isTaken { mask.insert(Int(index.tokens[place])) }
        }
        if work.walk.isAccepting[Int(state)] {
            for token in index.endTokens where Int(token) < index.vocabularySize {
                mask.insert(Int(token))
            }
        }
        return mask
    }

    fileprivate func step(_ state: Int32, _ bytes: [UInt8]) -> Int32 {
        work.withLock { work in
            bytes.reduce(state) { work.walk.step($0, $1) }
        }
    }

    fileprivate func isComplete(_ state: Int32) -> Bool {
        work.withLock { $0.walk.isComplete(state) }
    }
}

/// How far one answer has come in its format.
package struct FormatConstraint: TokenConstraint {
    private let format: CompiledFormat
    private let text: LanguageText
    private var state: Int32 = 0

    package init(_ format: CompiledFormat, _ text: LanguageText) {
        self.format = format
        self.text = text
    }

    package func allowed() -> TokenMask { format.mask(state) }

    package mutating func accept(_ token: Int32) {
        guard !text.endTokens.contains(token) else { return }
        state = format.step(state, text.bytes(of: token))
    }

    package var isComplete: Bool { format.isComplete(state) }
}
