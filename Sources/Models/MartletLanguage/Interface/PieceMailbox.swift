// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// Makes pieces of a request's events: a pure value.
struct PieceAssembly: Sendable {
    /// To be read, oldest first; neighbours of one sample are joined.
    private var ready: [TextPiece] = []
    /// Those before it were read.
    private var firstReady = 0
    /// By sample: tokens whose text is still to come.
    private var open: [Int: TextPiece] = [:]
    /// An answer's last piece waits for the event that follows: it may be the request's last.
    private var last: TextPiece?
    private var promptScores: [ScoredToken] = []
    private var failure: LanguageError?
    private(set) var isOver = false

    mutating func take(_ event: GenerationEvent) {
        guard !isOver else { return }
        if let piece = last {
            last = nil
            if case .ended(let usage) = event { return end(piece, usage) }
            emit(piece)
        }
        switch event {
        case .started: break
        case .promptScored(let scores): promptScores = scores
        case .delta(let delta):
            var piece = open.removeValue(forKey: delta.index) ?? TextPiece(sample: delta.index)
            piece.text += delta.text
            piece.tokens += delta.tokens
            piece.scores += delta.scores
            if piece.text.isEmpty { open[delta.index] = piece } else { emit(piece) }
        case .finished(let index, let reason, let stop):
            var piece = open.removeValue(forKey: index) ?? TextPiece(sample: index)
            piece.finishReason = reason
            piece.stop = stop?.text
            last = piece
        case .ended(let usage): end(TextPiece(sample: 0), usage)
        case .failed(let error):
            failure = error
            isOver = true
        }
    }

    private mutating func end(_ piece: TextPiece, _ usage: GenerationUsage) {
        var piece = piece
        piece.usage = usage
        emit(piece)
        isOver = true
    }

    private mutating func emit(_ piece: TextPiece) {
        var piece = piece
        if !promptScores.isEmpty {
            piece.promptScores = promptScores
            promptScores = []
        }
        if let before = ready.last, before.sample == piece.sample, before.finishReason == nil {
            ready[ready.count - 1].append(piece)
        } else {
            ready.append(piece)
        }
    }

    /// Nobody reads on: what is ready is dropped.
    mutating func abandon(_ error: LanguageError) {
        ready = []
        firstReady = 0
        failure = error
        isOver = true
    }

    /// What a reader gets now; nil when it has to wait. A failure is told once, after the pieces
    /// before it.
    mutating func read() -> Result<TextPiece?, LanguageError>? {
        if firstReady < ready.count {
            let piece = ready[firstReady]
            firstReady += 1
            if firstReady == ready.count {
                ready.removeAll(keepingCapacity: true)
                firstReady = 0
            }
            return .success(piece)
        }
        guard isOver else { return nil }
        guard let error = failure else { return .success(nil) }
        failure = nil
        return .failure(error)
    }
}

/// Hands pieces from the thread that generates to the task that reads.
final class PieceMailbox: Sendable {
    typealias Answer = Result<TextPiece?, LanguageError>

    private struct State {
        var assembly = PieceAssembly()
        var reader: CheckedContinuation<Answer, Never>?
    }

    private let state = Mutex(State())

    var isOver: Bool { state.withLock { $0.assembly.isOver } }

    func receive(_ event: GenerationEvent) { change { $0.take(event) } }

    /// - Returns: false when the request was over.
    func abandon() -> Bool {
        change { assembly in
            guard !assembly.isOver else { return false }
            assembly.abandon(LanguageError(.cancelled, "the task that reads was cancelled"))
            return true
        }
    }

    private func change<Value: Sendable>(_ body: (inout PieceAssembly) -> Value) -> Value {
        let (value, reader, answer) = state.withLock {
            state -> (Value, CheckedContinuation<Answer, Never>?, Answer?) in
            let value = body(&state.assembly)
            guard let reader = state.reader, let answer = state.assembly.read() else {
                return (value, nil, nil)
            }
            state.reader = nil
            return (value, reader, answer)
        }
        if let reader, let answer { reader.resume(returning: answer) }
        return value
    }

    /// The next piece; nil at the end. For one reader at a time: a second one ends the first.
    func next() async -> Answer {
        await withCheckedContinuation { continuation in
            let (earlier, answer) = state.withLock {
                state -> (CheckedContinuation<Answer, Never>?, Answer?) in
                let answer = state.assembly.read()
                defer { if answer == nil { state.reader = continuation } }
                return (answer == nil ? state.reader : nil, answer)
            }
            earlier?.resume(returning: .success(nil))
            if let answer { continuation.resume(returning: answer) }
        }
    }
}
