// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletEngine
internal import MartletLanguage

/// Measures a decoder: a prompt in chunks, then tokens of several sequences at once.
struct DecoderBench {
    let runner: EngineDecoderRunner
    let chunk: Int

    static func seconds() -> Double {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
    }

    static func text(_ value: Double) -> String {
        value < 10 ? "\((value * 1000).rounded() / 1000)" : "\((value * 10).rounded() / 10)"
    }

    func measure(
        prompt: Int, generate: Int, sequences: Int, repeats: Int, profiles: Bool
    ) throws -> String {
        var prefill: [Double] = []
        var decode: [Double] = []
        // The first time makes plans.
        _ = try once(prompt: min(prompt, chunk), generate: min(generate, 2), sequences)
        let session = runner.session as? NativeSession
        if profiles { session?.startProfile() }
        for _ in 0..<repeats {
            let times = try once(prompt: prompt, generate: generate, sequences)
            prefill.append(Double(prompt * sequences) / times.prefill)
            if generate > 0 { decode.append(Double(generate * sequences) / times.decode) }
        }
        func line(_ name: String, _ values: [Double]) -> String {
            let sorted = values.sorted()
            guard let best = sorted.last else { return "" }
            return "\(name) \(DecoderBench.text(sorted[sorted.count / 2])) tok/s "
                + "(best \(DecoderBench.text(best)))"
        }
        var text =
            line("pp\(prompt)x\(sequences)", prefill) + "\n"
            + line("tg\(generate)x\(sequences)", decode)
        if profiles, let profile = session?.stopProfile() {
            for entry in profile.operators {
                text +=
                    "\n  \(entry.operatorName)  \(DecoderBench.text(entry.microseconds / 1000)) ms"
                    + "  \(entry.calls) calls"
            }
        }
        return text
    }

    private func once(
        prompt: Int, generate: Int, _ sequences: Int
    ) throws -> (prefill: Double, decode: Double) {
        let length = runner.shape.blockLength
        let perSequence = (prompt + generate + length - 1) / length
        var logits: [Float] = []
        func token(_ index: Int) -> Int32 {
            Int32(index &* 7919 % max(runner.shape.vocabularySize - 1, 1))
        }
        let start = DecoderBench.seconds()
        for sequence in 0..<sequences {
            let blocks = (0..<perSequence).map { Int32(sequence * perSequence + $0) }
            var position = 0
            while position < prompt {
                let rows = min(chunk, prompt - position)
                try runner.run(
                    DecoderStep(
                        tokens: (0..<rows).map { token(position + $0 + sequence) },
                        slices: [
                            .init(
                                firstRow: 0, rowCount: Int32(rows), firstPosition: Int32(position),
                                firstBlock: 0)
                        ], blocks: blocks,
                        logitRows: position + rows == prompt ? [Int32(rows - 1)] : []),
                    logits: &logits)
                position += rows
            }
        }
        let middle = DecoderBench.seconds()
        var step = DecoderStep(
            blocks: (0..<Int32(sequences * perSequence)).map { $0 },
            logitRows: (0..<Int32(sequences)).map { $0 })
        for index in 0..<generate {
            step.tokens = (0..<sequences).map { token(index + $0) }
            step.slices = (0..<sequences).map {
                .init(
                    firstRow: Int32($0), rowCount: 1, firstPosition: Int32(prompt + index),
                    firstBlock: Int32($0 * perSequence))
            }
            try runner.run(step, logits: &logits)
        }
        return (middle - start, DecoderBench.seconds() - middle)
    }
}
