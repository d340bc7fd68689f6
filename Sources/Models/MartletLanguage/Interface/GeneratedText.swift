// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// A stretch of an answer, as it is made.
public struct TextPiece: Sendable, Hashable {
    /// Whole characters; never empty but at an answer's end.
    public var text: String
    public var tokens: [Int32]
    /// Which of `GenerationOptions.samples` answers it belongs to; 0 where there is one.
    public var sample: Int
    /// One for each token, when asked for.
    public var scores: [ScoredToken] = []
    /// One for each prompt token but the first, when asked for, on the first piece.
    public var promptScores: [ScoredToken] = []
    /// Why the answer ended: on its last piece.
    public var finishReason: FinishReason?
    /// The stop text that ended it.
    public var stop: String?
    /// What the request took: on the last piece of all.
    public var usage: GenerationUsage?

    init(sample: Int, text: String = "", tokens: [Int32] = []) {
        self.sample = sample
        self.text = text
        self.tokens = tokens
    }

    /// Joins what follows at once.
    mutating func append(_ next: TextPiece) {
        text += next.text
        tokens += next.tokens
        scores += next.scores
        promptScores += next.promptScores
        finishReason = next.finishReason
        stop = next.stop
        usage = next.usage
    }
}

/// An answer as it is made: a sequence of pieces of text for one reader.
///
/// A reader that is slow gets longer pieces, not more of them: what waits for it is never more than
/// the answer. After an answer's end the loop is over; one that was cut short throws.
public struct GeneratedText: AsyncSequence, Sendable {
    public typealias Element = TextPiece
    public typealias Failure = LanguageError

    private let reading: Reading

    init(_ mailbox: PieceMailbox, _ cancellation: Cancellation) {
        reading = Reading(mailbox, cancellation)
    }

    public func makeAsyncIterator() -> Iterator { Iterator(reading: reading) }

    public struct Iterator: AsyncIteratorProtocol {
        public typealias Element = TextPiece
        public typealias Failure = LanguageError

        let reading: Reading

        public mutating func next() async throws(LanguageError) -> TextPiece? {
            try await reading.next()
        }

        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(LanguageError) -> TextPiece? {
            try await reading.next()
        }
    }

    /// The whole answer, once it is there.
    public func collect() async throws(LanguageError) -> GeneratedAnswer {
        var answer = GeneratedAnswer()
        for try await piece in self {
            while answer.samples.count <= piece.sample { answer.samples.append(.init()) }
            answer.samples[piece.sample].text += piece.text
            answer.samples[piece.sample].tokens += piece.tokens
            answer.samples[piece.sample].scores += piece.scores
            answer.promptScores += piece.promptScores
            if let reason = piece.finishReason {
                answer.samples[piece.sample].finishReason = reason
                answer.samples[piece.sample].stop = piece.stop
            }
            if let usage = piece.usage { answer.usage = usage }
        }
        return answer
    }

    /// Ends the request when nobody can read it any more.
    final class Reading: Sendable {
        private let mailbox: PieceMailbox
        private let cancellation: Cancellation

        init(_ mailbox: PieceMailbox, _ cancellation: Cancellation) {
            self.mailbox = mailbox
            self.cancellation = cancellation
        }

        deinit {
            if !mailbox.isOver { cancellation.cancel() }
        }

        func next() async throws(LanguageError) -> TextPiece? {
            let result = await withTaskCancellationHandler {
                await mailbox.next()
            } onCancel: {
                if mailbox.abandon() { cancellation.cancel() }
            }
            return try result.get()
        }
    }
}
