// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A smaller decoder that guesses what the larger one will choose.
///
/// Method: speculative decoding (Leviathan et al., 2023), with both models drawing by the same
/// number: a guess is right where the larger model's own draw is the same token, so that answers
/// are not merely of the same distribution but the same. Sequences are guessed for together. For
/// the thread that generates.
package final class DraftModel {
    private struct Guessed {
        var blocks: [Int32] = []
        /// Tokens whose keys are in the draft's cache; what follows them there is void.
        var tokens: [Int32] = []
    }

    /// One sequence that wants guesses.
    struct Wish {
        var id: SequenceID
        var tokens: [Int32]
        var countMax: Int
        var state: SampleState
        var made: [Int32] = []
    }

    private let runner: any DecoderRunner
    private let vocabularySize: Int
    private var guessed: [SequenceID: Guessed] = [:]
    private var free: [Int32]
    private var logits: [Float] = []
    /// Rows of a prompt that are read at once.
    private static let rowsMax = 256

    /// - Parameter vocabularySize: the larger model's; the smaller may have fewer.
    package init(_ runner: any DecoderRunner, vocabularySize: Int) throws(LanguageError) {
        guard runner.shape.vocabularySize <= vocabularySize else {
            throw LanguageError(
                .invalidInput,
                "the draft model has \(runner.shape.vocabularySize) tokens, the model "
                    + "\(vocabularySize)")
        }
        self.runner = runner
        self.vocabularySize = runner.shape.vocabularySize
        free = (0..<Int32(runner.shape.blockCount)).reversed()
    }

    /// Gives back what a sequence had.
    func forget(_ id: SequenceID) {
        if let known = guessed.removeValue(forKey: id) { free += known.blocks }
    }

    /// Guesses for every wish; one that has no room or fails gets none.
    func propose(
        _ wishes: [Wish], ends: Set<Int32>, scratch: inout TokenSampler.Scratch
    ) -> [Wish] {
        var wishes = wishes
        for index in wishes.indices { roll(&wishes[index]) }
        var open = wishes.indices.filter { wishes[$0].countMax > 0 }
        while !open.isEmpty {
            let step = plan(wishes, open)
            do {
                try runner.run(step.step, logits: &logits)
            } catch {
                for index in open { forget(wishes[index].id) }
                return wishes
            }
            var stillOpen = open.filter { !step.slices.contains($0) }
            for (place, index) in step.slices.enumerated() {
                let last = enter(step.step.slices[place], &wishes[index])
                if let row = step.rows[place] {
                    guard last else { continue }
                    if choose(row, &wishes[index], ends, &scratch) { stillOpen.append(index) }
                } else {
                    stillOpen.append(index)
                }
            }
            open = stillOpen
        }
        return wishes
    }

    /// Forgets what the larger model chose otherwise, and takes the blocks for what is to come.
    private func roll(_ wish: inout Wish) {
        var known = guessed[wish.id] ?? Guessed()
        var agreed = min(known.tokens.count, wish.tokens.count - 1)
        // Only the last guesses can be wrong: what was agreed on stays.
        let from = max(0, agreed - 80)
        for place in from..<agreed where known.tokens[place] != wish.tokens[place] {
            agreed = place
            break
        }
        known.tokens.removeSubrange(agreed...)
        let length = runner.shape.blockLength
        let wanted = wish.tokens.count + wish.countMax
        let needed = (wanted + length - 1) / length
        while known.blocks.count < needed, let block = free.popLast() { known.blocks.append(block) }
        if known.blocks.count < needed || wanted > runner.shape.contextLength { wish.countMax = 0 }
        guessed[wish.id] = known
    }

    /// A step with the rows that each open wish has not computed yet.
    private func plan(
        _ wishes: [Wish], _ open: [Int]
    ) -> (step: DecoderStep, slices: [Int], rows: [Int?]) {
        var step = DecoderStep()
        var (slices, rows): ([Int], [Int?]) = ([], [])
        for index in open where step.tokens.count < 2 * DraftModel.rowsMax {
            let wish = wishes[index]
            guard let known = guessed[wish.id] else { continue }
            let all = wish.tokens + wish.made
            let count = min(all.count - known.tokens.count, DraftModel.rowsMax)
            let start = known.tokens.count
            step.slices.append(
                DecoderStep.Slice(
                    firstRow: Int32(step.tokens.count), rowCount: Int32(count),
                    firstPosition: Int32(start), firstBlock: Int32(step.blocks.count)))
            step.tokens += all[start..<start + count]
            let length = runner.shape.blockLength
            step.blocks += known.blocks.prefix((start + count + length - 1) / length)
            slices.append(index)
            if start + count == all.count {
                rows.append(step.logitRows.count)
                step.logitRows.append(Int32(step.tokens.count - 1))
            } else {
                rows.append(nil)
            }
        }
        return (step, slices, rows)
    }

    /// Enters a slice's rows; true when the sequence is computed to its end.
    private func enter(_ slice: DecoderStep.Slice, _ wish: inout Wish) -> Bool {
        guard var known = guessed.removeValue(forKey: wish.id) else { return false }
        let all = wish.tokens + wish.made
        let end = Int(slice.firstPosition + slice.rowCount)
        known.tokens += all[known.tokens.count..<end]
        guessed[wish.id] = known
        return end == all.count
    }

    /// Draws the next guess as the larger model will draw.
    /// - Returns: whether another may follow.
    private func choose(
        _ row: Int, _ wish: inout Wish, _ ends: Set<Int32>, _ scratch: inout TokenSampler.Scratch
    ) -> Bool {
        let all = logits
        let span = all.span.extracting(row * vocabularySize..<(row + 1) * vocabularySize)
        var allowed: TokenMask?
        if let mask = wish.state.mask() {
            guard case .ready(let tokens) = mask else { return false }
            allowed = tokens
        }
        guard let token = try? wish.state.choose(span, allowed, ends, scratch: &scratch) else {
            return false
        }
        wish.made.append(token)
        var text = ""
        let ending = wish.state.take(token, ends, text: &text)
        return ending == nil && wish.made.count < wish.countMax
    }
}
