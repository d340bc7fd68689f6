// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Runs one sequence in blocks 0, 1, 2, … and takes the likeliest token each time: what checks and
/// measurements of a runner need, with no scheduling.
package struct GreedyDecoding {
    private let runner: any DecoderRunner
    private let chunk: Int

    package init(runner: any DecoderRunner, chunk: Int) {
        self.runner = runner
        self.chunk = max(chunk, 1)
    }

    /// The next `count` tokens after `prompt`; `observe` sees the logits of the prompt's rows.
    package func run(
        _ prompt: [Int32], count: Int, observe: ([Float]) -> Void
    ) throws -> [Int32] {
        let shape = runner.shape
        let length = shape.blockLength
        let (total, overflow) = prompt.count.addingReportingOverflow(count)
        guard !prompt.isEmpty, !overflow, total <= shape.contextLength else {
            throw LanguageError(
                .limitExceeded,
                "\(prompt.count) tokens and \(count) more pass the context of "
                    + "\(shape.contextLength)")
        }
        var logits: [Float] = []
        var made: [Int32] = []
        var position = 0
        func step(_ tokens: ArraySlice<Int32>, wantsAll: Bool) throws {
            let blocks = (position + tokens.count + length - 1) / length
            let rows = Int32(tokens.count)
            try runner.run(
                DecoderStep(
                    tokens: Array(tokens),
                    slices: [
                        .init(
                            firstRow: 0, rowCount: rows, firstPosition: Int32(position),
                            firstBlock: 0)
                    ],
                    blocks: Array(0..<Int32(blocks)),
                    logitRows: wantsAll ? Array(0..<rows) : [rows - 1]), logits: &logits)
            position += tokens.count
        }
        while position < prompt.count {
            try step(prompt[position..<min(position + chunk, prompt.count)], wantsAll: true)
            observe(logits)
        }
        while made.count < count {
            let token = GreedyDecoding.likeliest(logits.suffix(shape.vocabularySize))
            made.append(token)
            if made.count < count { try step([token], wantsAll: false) }
        }
        return made
    }

    /// The index of the largest value, the first of equals.
    package static func likeliest(_ logits: ArraySlice<Float>) -> Int32 {
        var best = logits.startIndex
        for index in logits.indices where logits[index] > logits[best] { best = index }
        return Int32(best - logits.startIndex)
    }
}
