// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// Collects more answers than are wanted and hands out the likeliest.
final class BestAnswers: Sendable {
    private struct Answer {
        var delta: GenerationDelta
        var logProbability = 0.0
        var reason = FinishReason.length
        var stop: StopCause?
    }

    private let count: Int
    private let keepsScores: Bool
    private let receiver: @Sendable (GenerationEvent) -> Void
    private let answers = Mutex<[Int: Answer]>([:])

    init(
        count: Int, keepsScores: Bool, receive: @escaping @Sendable (GenerationEvent) -> Void
    ) {
        self.count = count
        self.keepsScores = keepsScores
        receiver = receive
    }

    func receive(_ event: GenerationEvent) {
        switch event {
        case .delta(let delta):
            answers.withLock { answers in
                var answer =
                    answers[delta.index]
                    ?? Answer(delta: GenerationDelta(index: delta.index, text: "", tokens: []))
                answer.delta.text += delta.text
                answer.delta.tokens += delta.tokens
                if keepsScores { answer.delta.scores += delta.scores }
                answer.logProbability +=
                    delta.scores.reduce(0) { $0 + Double($1.logProbability) }
                answers[delta.index] = answer
            }
        case .finished(let index, let reason, let stop):
            answers.withLock { answers in
                answers[index]?.reason = reason
                answers[index]?.stop = stop
            }
        case .ended:
            let best = answers.withLock { answers in
                answers.sorted {
                    $0.value.logProbability != $1.value.logProbability
                        ? $0.value.logProbability > $1.value.logProbability : $0.key < $1.key
                }.prefix(count).map(\.value)
            }
            for (index, answer) in best.enumerated() {
                var delta = answer.delta
                delta.index = index
                receiver(.delta(delta))
                receiver(.finished(index: index, answer.reason, stop: answer.stop))
            }
            receiver(event)
        default: receiver(event)
        }
    }
}
