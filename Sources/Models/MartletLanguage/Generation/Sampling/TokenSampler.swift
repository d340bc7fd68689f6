// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Why no token can be chosen.
package enum SamplingFailure: Error, Hashable {
    /// The model answered NaN or infinity.
    case notFinite
    /// Nothing is allowed.
    case nothingAllowed
}

/// Chooses the tokens of one sequence: its options and what it has counted.
///
/// The n-th token's draw follows from the seed and n alone. Options work in the order: bias, mask,
/// penalties, temperature, top-k, top-p, min-p, typical. Cost: a few passes over the vocabulary
/// in vectors of floats; greedy without penalties is one.
package struct TokenSampler: Sendable {
    let options: SamplingOptions
    private let seed: UInt64
    /// How often the answer has each token.
    private var counts: [Int32: Int32] = [:]
    private var promptTokens: Set<Int32> = []
    private var position: UInt64 = 0

    /// Memory that one call after the other uses.
    package struct Scratch {
        var logits: [Float] = []
        var candidates: [Candidate] = []
        /// Unnormalised probabilities of all tokens, and the sums of each `blockLength`.
        var weights: [Float] = []
        var sums: [Double] = []
        /// Sums of the weights that share their first bits.
        var buckets: [Double] = []

        package init() {}
    }

    struct Candidate {
        var token: Int32
        var logit: Float
        var weight: Double = 0
    }

    /// - Parameter seed: used where the options have none.
    package init(_ options: SamplingOptions, prompt: [Int32], seed: UInt64, sample: Int) {
        self.options = options
        var mixed = (options.seed ?? seed) &+ UInt64(sample) &* 0xD1B5_4A32_D192_ED03
        mixed = (mixed ^ (mixed >> 32)) &* 0xD6E8_FEB8_6659_FD93
        self.seed = mixed ^ (mixed >> 29)
        if options.repetitionPenalty != 1 { promptTokens = Set(prompt) }
    }

    private var hasPenalties: Bool {
        options.repetitionPenalty != 1 || options.frequencyPenalty != 0
            || options.presencePenalty != 0
    }

    /// Enters that a token was chosen.
    package mutating func accept(_ token: Int32) {
        position += 1
        if hasPenalties { counts[token, default: 0] += 1 }
    }

    /// Chooses the next token; `accept` must follow before the next call.
    /// - Parameters:
    ///   - allowed: tokens that may come; nil for all.
    ///   - forbidden: tokens that may not come all the same.
    package func sample(
        _ logits: Span<Float>, allowed: TokenMask? = nil, forbidden: [Int32] = [],
        scratch: inout Scratch
    ) throws(SamplingFailure) -> Int32 {
        if !hasPenalties, options.logitBias.isEmpty, allowed == nil, forbidden.isEmpty {
            if options.temperature == 0 { return try TokenSampler.argmax(logits) }
            return try draw(logits, &scratch)
        }
        adjust(logits, allowed, &scratch.logits)
        for token in forbidden where token >= 0 && Int(token) < logits.count {
            scratch.logits[Int(token)] = -.infinity
        }
        let adjusted = scratch.logits
        if options.temperature == 0 { return try TokenSampler.argmax(adjusted.span) }
        return try draw(adjusted.span, &scratch)
    }

    private func adjust(_ logits: Span<Float>, _ allowed: TokenMask?, _ out: inout [Float]) {
        out.removeAll(keepingCapacity: true)
        unsafe logits.withUnsafeBufferPointer { unsafe out.append(contentsOf: $0) }
        for (token, bias) in options.logitBias where Int(token) < out.count && token >= 0 {
            out[Int(token)] += bias
        }
        if hasPenalties { penalise(&out) }
        allowed?.forbidOthers(&out)
    }

    private func penalise(_ logits: inout [Float]) {
        let repetition = Float(options.repetitionPenalty)
        if repetition != 1 {
            func apply(_ token: Int32) {
                guard token >= 0, Int(token) < logits.count else { return }
                let logit = logits[Int(token)]
                logits[Int(token)] = logit > 0 ? logit / repetition : logit * repetition
            }
            for token in promptTokens { apply(token) }
            for token in counts.keys where !promptTokens.contains(token) { apply(token) }
        }
        guard options.frequencyPenalty != 0 || options.presencePenalty != 0 else { return }
        for (token, count) in counts where token >= 0 && Int(token) < logits.count {
            logits[Int(token)] -=
                Float(options.frequencyPenalty) * Float(count) + Float(options.presencePenalty)
        }
    }

    // MARK: Drawing

    private func draw(
        _ logits: Span<Float>, _ scratch: inout Scratch
    ) throws(SamplingFailure) -> Int32 {
        let best = try TokenSampler.argmax(logits)
        let top = logits[Int(best)]
        let inverse = 1 / max(options.temperature, 1e-6)
        // Beyond, weights are 0.
        var floor = top - Float(min(87 / inverse, 1e30))
        let isWhole = options.topK == 0 && options.topP == 1
        if isWhole, options.minP == 0, options.typicalP == 1 {
            let total = TokenSampler.weigh(logits, top: top, Float(inverse), &scratch)
            return TokenSampler.pick(uniform() * total, of: scratch, logits, floor: floor) ?? best
        }
        var total = 0.0
        if options.topP < 1, options.topK == 0 {
            total = TokenSampler.weigh(logits, top: top, Float(inverse), &scratch)
            if options.typicalP == 1 {
                TokenSampler.takeNucleus(options.topP * total, logits, floor: floor, &scratch)
                if options.minP > 0 {
                    scratch.candidates.removeAll { $0.weight < options.minP }
                }
                return drawCandidate(scratch) ?? best
            }
        }
        if isWhole, options.minP > 0 {
            floor = max(floor, top + Float(log(options.minP) / inverse - 1e-3))
        }
        choose(logits, top: top, floor: floor, inverse, total: total, &scratch.candidates)
        if options.typicalP < 1 { keepTypical(&scratch.candidates) }
        return drawCandidate(scratch) ?? best
    }

    private func drawCandidate(_ scratch: Scratch) -> Int32? {
        let kept = scratch.candidates.reduce(0) { $0 + $1.weight }
        var rest = uniform() * kept
        for candidate in scratch.candidates {
            rest -= candidate.weight
            if rest < 0 { return candidate.token }
        }
        return scratch.candidates.last?.token
    }

    @inline(__always)
    private func weight(_ logit: Float, _ top: Float, _ inverse: Double) -> Double {
        exp(Double(logit - top) * inverse)
    }

    /// Fills `candidates` with what top-k, top-p and min-p leave, likeliest first where one of them
    /// is set and in the vocabulary's order otherwise.
    private func choose(
        _ logits: Span<Float>, top: Float, floor: Float, _ inverse: Double, total: Double,
        _ candidates: inout [Candidate]
    ) {
        candidates.removeAll(keepingCapacity: true)
        guard options.topK > 0 || options.topP < 1 else {
            for index in 0..<logits.count where logits[index] >= floor {
                let weight = weight(logits[index], top, inverse)
                if weight < options.minP { continue }
                candidates.append(
                    Candidate(token: Int32(index), logit: logits[index], weight: weight))
            }
            return
        }
        let wanted = options.topK > 0 ? min(options.topK, logits.count) : logits.count
        // Few tokens have nearly all the probability: look at those first.
        var count = min(wanted, 256)
        while true {
            TokenSampler.takeTop(logits, count, floor: floor, into: &candidates)
            for index in candidates.indices {
                candidates[index].weight = weight(candidates[index].logit, top, inverse)
            }
            let sum = candidates.reduce(0) { $0 + $1.weight }
            let isEnough =
                count >= wanted || candidates.count < count
                || (options.topP < 1 && options.topK == 0 && sum >= options.topP * total)
            if isEnough { break }
            count = min(wanted, count * 8)
        }
        // As the top-k leaves them, or all: what top-p counts by.
        let base = options.topK > 0 ? candidates.reduce(0) { $0 + $1.weight } : total
        if options.topP < 1 {
            var sum = 0.0
            let end = candidates.firstIndex {
                sum += $0.weight
                return sum >= options.topP * base
            }
            if let end { candidates.removeSubrange((end + 1)...) }
        }
        if options.minP > 0 { candidates.removeAll { $0.weight < options.minP } }
    }

    /// The `count` highest logits above `floor`, highest first, of equals the lower token first.
    static func takeTop(
        _ logits: Span<Float>, _ count: Int, floor: Float, into heap: inout [Candidate]
    ) {
        func worse(_ left: Candidate, _ right: Candidate) -> Bool {
            left.logit != right.logit ? left.logit < right.logit : left.token > right.token
        }
        func sink(_ start: Int) {
            var place = start
            while true {
                var least = place
                let (left, right) = (2 * place + 1, 2 * place + 2)
                if left < heap.count, worse(heap[left], heap[least]) { least = left }
                if right < heap.count, worse(heap[right], heap[least]) { least = right }
                if least == place { return }
                heap.swapAt(place, least)
                place = least
            }
        }
        heap.removeAll(keepingCapacity: true)
        guard count > 0 else { return }
        if count >= logits.count {
            for index in 0..<logits.count where logits[index] >= floor {
                heap.append(Candidate(token: Int32(index), logit: logits[index]))
            }
        } else {
            var index = 0
            while index < logits.count, heap.count < count {
                if logits[index] >= floor {
                    heap.append(Candidate(token: Int32(index), logit: logits[index]))
                }
                index += 1
            }
            for place in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(place) }
            var threshold = heap.first?.logit ?? -.infinity
            while index < logits.count {
                if logits[index] > threshold {
                    heap[0] = Candidate(token: Int32(index), logit: logits[index])
                    sink(0)
                    threshold = heap[0].logit
                }
                index += 1
            }
        }
        heap.sort { worse($1, $0) }
    }

    /// Keeps those whose surprise is nearest to the expected one.
    private func keepTypical(_ candidates: inout [Candidate]) {
        let total = candidates.reduce(0) { $0 + $1.weight }
        guard total > 0 else { return }
        var entropy = 0.0
        for candidate in candidates where candidate.weight > 0 {
            let probability = candidate.weight / total
            entropy -= probability * log(probability)
        }
        func distance(_ candidate: Candidate) -> Double {
            abs(-log(candidate.weight / total) - entropy)
        }
        candidates.sort {
            let (left, right) = (distance($0), distance($1))
            return left != right ? left < right : $0.token < $1.token
        }
        var sum = 0.0
        let end = candidates.firstIndex {
            sum += $0.weight
            return sum >= options.typicalP * total
        }
        if let end { candidates.removeSubrange((end + 1)...) }
    }

    /// In 0 ..< 1, of the seed and the token's place.
    private func uniform() -> Double {
        var mixed = seed &+ (position &+ 1) &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((mixed ^ (mixed >> 31)) >> 11) * 0x1p-53
    }
}
