// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletLanguage

/// A decoder without a model: the logits behind a row are a hash of all that its sequence's blocks
/// hold up to it, so that a block that is shared, copied or evicted wrongly shows in the tokens.
///
/// Each cell of the cache holds a hash of its token and of the cell before, as a real cache's keys
/// depend on all tokens before them.
package final class ScriptedDecoder: DecoderRunner {
    package let shape: DecoderShape
    private let seed: UInt64
    /// Tokens that are likelier than others by a lot; empty for all alike.
    package let likely: Set<Int32>
    private var cells: [UInt64]
    private var written: [Bool]
    package private(set) var stepCount = 0
    package private(set) var rowCount = 0
    /// Rows of the largest step.
    package private(set) var largestStep = 0
    /// What went wrong in the steps' form, the first time; nil when nothing did.
    package private(set) var complaint: String?
    /// Thrown instead of the step of that number.
    package var failsAtStep: Int?
    /// Answers NaN in the step of that number.
    package var breaksAtStep: Int?
    /// Called before each step.
    package var beforeStep: (@Sendable () -> Void)?

    package struct Failure: Error {}

    package init(shape: DecoderShape, seed: UInt64 = 1, likely: Set<Int32> = []) {
        self.shape = shape
        self.seed = seed
        self.likely = likely
        cells = Array(repeating: 0, count: shape.blockCount * shape.blockLength)
        written = Array(repeating: false, count: cells.count)
    }

    package func run(_ step: DecoderStep, logits: inout [Float]) throws {
        beforeStep?()
        stepCount += 1
        rowCount += step.tokens.count
        largestStep = max(largestStep, step.tokens.count)
        if failsAtStep == stepCount { throw Failure() }
        logits.removeAll(keepingCapacity: true)
        var nextLogitRow = 0
        var row = 0
        for slice in step.slices {
            if Int(slice.firstRow) != row { complain("slices are not in the order of rows") }
            for offset in 0..<Int(slice.rowCount) {
                let position = Int(slice.firstPosition) + offset
                write(step, slice, position, token: step.tokens[row])
                if nextLogitRow < step.logitRows.count, Int(step.logitRows[nextLogitRow]) == row {
                    let hash = read(step, slice, upTo: position)
                    append(hash, to: &logits)
                    nextLogitRow += 1
                }
                row += 1
            }
        }
        if row != step.tokens.count || nextLogitRow != step.logitRows.count {
            complain("\(row) of \(step.tokens.count) rows, \(nextLogitRow) logit rows")
        }
        if breaksAtStep == stepCount { logits[0] = .nan }
    }

    package func copyBlocks(_ pairs: [(from: Int32, to: Int32)]) {
        for (from, to) in pairs {
            for offset in 0..<shape.blockLength {
                let (source, target) = (
                    Int(from) * shape.blockLength + offset, Int(to) * shape.blockLength + offset
                )
                cells[target] = cells[source]
                written[target] = written[source]
            }
        }
    }

    private func complain(_ text: String) { if complaint == nil { complaint = text } }

    private func cell(_ step: DecoderStep, _ slice: DecoderStep.Slice, _ position: Int) -> Int {
        let place = Int(slice.firstBlock) + position / shape.blockLength
        guard place < step.blocks.count else {
            complain("position \(position) has no block")
            return 0
        }
        return Int(step.blocks[place]) * shape.blockLength + position % shape.blockLength
    }

    private func write(
        _ step: DecoderStep, _ slice: DecoderStep.Slice, _ position: Int, token: Int32
    ) {
        if position >= shape.contextLength { complain("position \(position) is outside") }
        var before: UInt64 = seed
        if position > 0 {
            let previous = cell(step, slice, position - 1)
            if !written[previous] { complain("position \(position - 1) was never written") }
            before = cells[previous]
        }
        let place = cell(step, slice, position)
        cells[place] = ScriptedDecoder.mix(
            before ^ UInt64(UInt32(bitPattern: token)) &* 0x9E37_79B9)
        written[place] = true
    }

    private func read(
        _ step: DecoderStep, _ slice: DecoderStep.Slice, upTo position: Int
    ) -> UInt64 {
        var hash: UInt64 = 0
        for index in 0...position {
            hash = ScriptedDecoder.mix(hash ^ cells[cell(step, slice, index)])
        }
        return hash
    }

    private func append(_ hash: UInt64, to logits: inout [Float]) {
        for token in 0..<shape.vocabularySize {
            let bits = ScriptedDecoder.mix(hash &+ UInt64(token) &* 0xD1B5_4A32_D192_ED03)
            let logit = Float(bits >> 40) * (8 / 16_777_216)
            logits.append(likely.isEmpty || likely.contains(Int32(token)) ? logit : logit - 12)
        }
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
