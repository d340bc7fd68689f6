// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// The rules by which models stretch rotary positions beyond the length they were trained on.
///
/// Sources: Su et al., RoFormer, 2021; linear interpolation: Chen et al., 2023; YaRN: Peng et al.,
/// 2023; Llama 3: Meta's reference code; LongRoPE: Ding et al., 2024.
struct RotaryScaling {
    enum Rule: Hashable {
        case none
        case linear(factor: Double)
        /// The base grows with the length: fixed here for the context that is served.
        case dynamic(factor: Double)
        case llama3(factor: Double, low: Double, high: Double)
        case yarn(factor: Double, fast: Double, slow: Double, attention: Double?, truncates: Bool)
        /// A factor for each pair.
        case perPair(factors: [Double], attention: Double)
    }

    var rule = Rule.none
    var base = 10_000.0
    /// Values of a head that are turned.
    var width: Int
    /// The length the model was trained on.
    var originalLength = 0
    var contextLength = 0
    /// The positions that are served.
    var servedLength = 0

    func rotary() -> DecoderConfiguration.Rotary {
        let half = width / 2
        // In 32 bits where transformers computes in 32 bits, so that angles agree far out.
        func plain(_ base: Double) -> [Float] {
            (0..<half).map { pair in
                1 / powf(Float(base), Float(2 * pair) / Float(width))
            }
        }
        var made = DecoderConfiguration.Rotary(frequencies: plain(base))
        switch rule {
        case .none: break
        case .linear(let factor):
            made.frequencies = made.frequencies.map { $0 / Float(factor) }
        case .dynamic(let factor):
            guard contextLength > originalLength, originalLength > 0, width > 2 else { break }
            let ratio = Double(contextLength) / Double(originalLength)
            let growth = factor * ratio - (factor - 1)
            made.frequencies = plain(base * pow(growth, Double(width) / Double(width - 2)))
        case .llama3(let factor, let low, let high):
            let length = Double(originalLength)
            made.frequencies = made.frequencies.map { frequency in
                let wave = 2 * Double.pi / Double(frequency)
                if wave > length / low { return frequency / Float(factor) }
                if wave < length / high { return frequency }
                let smooth = Float((length / wave - low) / (high - low))
                return (1 - smooth) * frequency / Float(factor) + smooth * frequency
            }
        case .yarn(let factor, let fast, let slow, let attention, let truncates):
            made.frequencies = yarn(made.frequencies, factor, fast, slow, truncates)
            made.factor = Float(attention ?? (factor <= 1 ? 1 : 0.1 * log(factor) + 1))
        case .perPair(let factors, let attention):
            made.frequencies = zip(made.frequencies, factors).map { $0 / Float($1) }
            made.factor = Float(attention)
        }
        return made
    }

    /// Fast pairs keep their angles, slow ones are interpolated, those between go over in a line.
    private func yarn(
        _ frequencies: [Float], _ factor: Double, _ fast: Double, _ slow: Double, _ truncates: Bool
    ) -> [Float] {
        func pair(turning turns: Double) -> Double {
            Double(width) * log(Double(originalLength) / (turns * 2 * .pi)) / (2 * log(base))
        }
        var low = pair(turning: fast)
        var high = pair(turning: slow)
        if truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        low = max(low, 0)
        high = min(high, Double(width - 1))
        if low == high { high += 0.001 }
        return frequencies.enumerated().map { index, frequency in
            let ramp = Float(min(max((Double(index) - low) / (high - low), 0), 1))
            return frequency / Float(factor) * ramp + frequency * (1 - ramp)
        }
    }
}

func logarithm(_ x: Double) -> Double { log(x) }
