// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// A compiled format: masks of tokens by state, made when a state is first reached.
package final class CompiledFormat: Sendable {
    /// A mask in the making.
    private struct Partial: Sendable {
        var mask: TokenMask
        /// The next token in the vocabulary's order.
        var place = 0
        /// The states behind each byte of the token before.
        var states: [Int32]
        var units = 0
    }

    private struct Work: Sendable {
        var walk: AutomatonWalk
        var partials: [Int32: Partial] = [:]
    }

    private struct Masks: Sendable {
        var generation = 0
        var known: [Int32: MaskState] = [:]
    }

    private static let maskCountMax = 512
    /// Units of `MaskBudget` for one mask: a million places.
    private static let maskUnitsMax = 8 << 20
    /// Units that are spent before others have their turn: about a millisecond.
    private static let sliceUnits = 128 << 10
    private let work: Mutex<Work>
    /// Apart from the work, so that nobody waits for that to look here.
    private let masks = Mutex(Masks())
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
        var snapshot: AutomatonWalk.Snapshot
    }

    fileprivate var start: Position {
        work.withLock { work in
            let state = work.walk.startNumber()
            return Position(
                state: state, generation: work.walk.generation,
                snapshot: work.walk.snapshot(state))
        }
    }

    private static func number(_ position: inout Position, _ work: inout Work) -> Int32 {
        if position.generation != work.walk.generation {
            position.state = work.walk.number(&position.snapshot)
            position.generation = work.walk.generation
        }
        return position.state
    }

    /// The mask that was made for a position; nil when there is none.
    fileprivate func known(_ position: Position) -> MaskState? {
        masks.withLock { masks in
            masks.generation == position.generation ? masks.known[position.state] : nil
        }
    }

    /// Works on a position's mask for a while.
    /// - Returns: the mask, or why there is none; nil when more is to be done.
    fileprivate func advance(_ position: inout Position, _ budget: MaskBudget) -> MaskState? {
        work.withLock { work in
            let before = work.walk.work
            let generation = work.walk.generation
            // Masks in the making would begin anew.
            work.walk.makeRoom(patience: work.partials.isEmpty ? 1 : 3)
            if work.walk.generation != generation { work.partials.removeAll() }
            let state = CompiledFormat.number(&position, &work)
            if let known = known(position) { return known }
            var partial =
                work.partials.removeValue(forKey: state)
                ?? Partial(mask: TokenMask(tokenCount: index.vocabularySize), states: [state])
            var bytes = 0
            let isDone = extend(&partial, &work, before, &bytes)
            let units = bytes + (work.walk.work - before) * MaskBudget.placeUnits
            partial.units += units
            guard budget.spend(units) else { return .failed(CompiledFormat.tooMuch("one request")) }
            if work.walk.isFull || partial.units > CompiledFormat.maskUnitsMax {
                return enter(.failed(CompiledFormat.tooMuch("one token")), position)
            }
            guard isDone else {
                if work.partials.count >= 64 { work.partials.removeAll() }
                work.partials[state] = partial
                return nil
            }
            if state >= 0, work.walk.isAccepting[Int(state)] {
                for token in index.endTokens where Int(token) < index.vocabularySize {
                    partial.mask.insert(Int(token))
                }
            }
            return enter(.ready(partial.mask), position)
        }
    }

    private static func tooMuch(_ what: String) -> LanguageError {
        LanguageError(
            .limitExceeded, "the answer's format takes too much work for \(what): it is ambiguous")
    }

    private func enter(_ state: MaskState, _ position: Position) -> MaskState {
        masks.withLock { masks in
            if masks.generation != position.generation
                || masks.known.count >= CompiledFormat.maskCountMax
            {
                masks.known.removeAll()
                masks.generation = position.generation
            }
            masks.known[position.state] = state
        }
        return state
    }

    /// Goes on over the vocabulary.
    /// - Returns: true when all of it was seen.
    private func extend(
        _ partial: inout Partial, _ work: inout Work, _ before: Int, _ bytes: inout Int
    ) -> Bool {
        guard partial.states[0] >= 0 else { return true }
        while partial.place < index.tokens.count {
            let spent = bytes + (work.walk.work - before) * MaskBudget.placeUnits
            if spent >= CompiledFormat.sliceUnits || work.walk.isFull { return false }
            let place = partial.place
            partial.place += 1
            bytes += 1
            let common = Int(index.shared[place])
            // A beginning that was refused is refused again.
            if partial.states.count <= common { continue }
            partial.states.removeSubrange((common + 1)...)
            let start = Int(index.starts[place])
            let end = Int(index.starts[place + 1])
            var isTaken = true
            for offset in (start + common)..<end {
                bytes += 1
                let next = work.walk.step(
                    partial.states[partial.states.count - 1], index.bytes[offset])
                guard next >= 0 else {
                    isTaken = false
                    break
                }
                partial.states.append(next)
            }
            if isTaken { partial.mask.insert(Int(index.tokens[place])) }
        }
        return true
    }

    /// Goes on by a token's bytes; they were walked for its mask before, so that this is quick.
    /// - Returns: whether nothing but the end may follow.
    fileprivate func step(_ position: inout Position, _ bytes: [UInt8]) -> Bool {
        work.withLock { work in
            let state = CompiledFormat.number(&position, &work)
            position.state = bytes.reduce(state) { work.walk.step($0, $1) }
            position.snapshot = work.walk.snapshot(position.state)
            return work.walk.isComplete(position.state)
        }
    }
}

/// Where the work on a mask stands in its walk.
private final class MaskPlace: Sendable {
    let position: Mutex<CompiledFormat.Position>

    init(_ position: CompiledFormat.Position) { self.position = Mutex(position) }
}

/// How far one answer has come in its format. Copies share what their masks may cost.
package struct FormatConstraint: TokenConstraint {
    private let format: CompiledFormat
    private let text: LanguageText
    private let budget = MaskBudget()
    private var position: CompiledFormat.Position
    private var ticket: MaskTicket?
    package private(set) var isComplete: Bool

    package init(_ format: CompiledFormat, _ text: LanguageText) {
        self.format = format
        self.text = text
        position = format.start
        isComplete = false
    }

    package mutating func mask(_ queue: MaskQueue?) -> MaskState {
        if let ticket {
            if case .pending = ticket.state { return .pending }
            return ticket.state
        }
        if let known = format.known(position) { return known }
        guard let queue else {
            while true {
                if let done = format.advance(&position, budget) { return done }
            }
        }
        let ticket = MaskTicket()
        self.ticket = ticket
        let place = MaskPlace(position)
        queue.run { [format, budget] in
            guard let done = place.position.withLock({ format.advance(&$0, budget) })
            else { return false }
            ticket.settle(done)
            return true
        } onRefusal: {
            ticket.settle(
                .failed(LanguageError(.overloaded, "too many answers' formats are worked on")))
        }
        return .pending
    }

    package mutating func accept(_ token: Int32) {
        guard !text.endTokens.contains(token) else { return }
        ticket = nil
        budget.earn()
        isComplete = format.step(&position, text.bytes(of: token))
    }
}
