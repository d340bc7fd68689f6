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
    /// Places that are looked at for one mask; beyond, tokens are left out.
    private static let maskWorkMax = 20_000_000
    private let work: Mutex<Work>
    private let index: VocabularyIndex

    /// - Throws: `LanguageError` for a format that is none, or too large.
    package init(_ format: AnswerFormat, _ index: VocabularyIndex) throws(LanguageError) {
        var automaton = ByteAutomaton()
        var names: [String] = []
        switch format {
        case .text: throw LanguageError(.invalidInput, "a plain text has no format")
        case .json: automaton = try SchemaCompiler.anyObject()
        case .schema(let schema): automaton = try SchemaCompiler.compile(schema)
        case .regex(let pattern):
            try RegexCompiler.add(pattern, automaton.start, automaton.end, to: &automaton)
        case .grammar(let grammar): (automaton, names) = try GrammarCompiler.compile(grammar)
        case .choice(let choices):
            guard !choices.isEmpty, choices.count <= 4096 else {
                throw LanguageError(.invalidInput, "choice: expected 1 to 4096 texts")
            }
            for choice in choices {
                try automaton.add(automaton.start, choice, automaton.end)
            }
        }
        self.index = index
        work = Mutex(Work(walk: try AutomatonWalk(automaton, names: names)))
    }

    /// Where an answer stands: a number that is good while the walk's generation lasts, and what
    /// it stands for.
    fileprivate struct Position: Sendable {
        var state: Int32
        var generation: Int
        var places: [AutomatonPlace]
    }

    fileprivate var start: Position {
        work.withLock { work in
            let places = work.walk.start
            return Position(
                state: work.walk.number(known: places), generation: work.walk.generation,
                places: places)
        }
    }

    private static func number(_ position: inout Position, _ work: inout Work) -> Int32 {
        if position.generation != work.walk.generation {
            position.state = work.walk.number(known: position.places)
            position.generation = work.walk.generation
        }
        return position.state
    }

    fileprivate func mask(_ position: Position) -> TokenMask {
        work.withLock { work in
            var position = position
            let generation = work.walk.generation
            work.walk.makeRoom()
            if work.walk.generation != generation { work.masks.removeAll() }
            let state = CompiledFormat.number(&position, &work)
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
        let workMax = work.walk.work + CompiledFormat.maskWorkMax
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
                guard next >= 0, work.walk.work < workMax else {
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

    fileprivate func step(_ position: inout Position, _ bytes: [UInt8]) {
        work.withLock { work in
            let state = CompiledFormat.number(&position, &work)
            position.state = bytes.reduce(state) { work.walk.step($0, $1) }
            position.places = work.walk.places(position.state)
        }
    }

    fileprivate func isComplete(_ position: Position) -> Bool {
        work.withLock { work in
            var position = position
            return work.walk.isComplete(CompiledFormat.number(&position, &work))
        }
    }
}

/// How far one answer has come in its format.
package struct FormatConstraint: TokenConstraint {
    private let format: CompiledFormat
    private let text: LanguageText
    private var position: CompiledFormat.Position

    package init(_ format: CompiledFormat, _ text: LanguageText) {
        self.format = format
        self.text = text
        position = format.start
    }

    package func allowed() -> TokenMask { format.mask(position) }

    package mutating func accept(_ token: Int32) {
        guard !text.endTokens.contains(token) else { return }
        format.step(&position, text.bytes(of: token))
    }

    package var isComplete: Bool { format.isComplete(position) }
}
