// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletTensor

/// Passes over the whole vocabulary.
extension TokenSampler {
    private typealias Lanes = SIMD16<Float>

    /// Weights that are summed in one piece.
    private static let blockLength = 64

    /// The likeliest token, of equals the first.
    static func argmax(_ logits: Span<Float>) throws(SamplingFailure) -> Int32 {
        let whole = logits.count / Lanes.scalarCount * Lanes.scalarCount
        var best = -Float.infinity
        var isNumber = true
        unsafe logits.withUnsafeBytes { bytes in
            var high = Lanes(repeating: -.infinity)
            var strange = SIMDMask<Lanes.MaskStorage>(repeating: false)
            for place in stride(from: 0, to: whole, by: Lanes.scalarCount) {
                let lanes = unsafe bytes.loadUnaligned(fromByteOffset: 4 * place, as: Lanes.self)
                high.replace(with: lanes, where: lanes .> high)
                strange .|= lanes .!= lanes
            }
            if whole > 0 { best = high.max() }
            isNumber = !any(strange)
        }
        for place in whole..<logits.count {
            best = max(best, logits[place])
            isNumber = isNumber && !logits[place].isNaN
        }
        guard isNumber, best != .infinity else { throw .notFinite }
        guard best > -.infinity else { throw .nothingAllowed }
        return Int32(first(best, in: logits))
    }

    /// The first place of a value that is there.
    private static func first(_ value: Float, in logits: Span<Float>) -> Int {
        var place = 0
        unsafe logits.withUnsafeBytes { bytes in
            let wanted = Lanes(repeating: value)
            while place + Lanes.scalarCount <= logits.count {
                let lanes = unsafe bytes.loadUnaligned(fromByteOffset: 4 * place, as: Lanes.self)
                if any(lanes .== wanted) { return }
                place += Lanes.scalarCount
            }
        }
        while place < logits.count - 1, logits[place] != value { place += 1 }
        return place
    }

    /// Fills the scratch with e^((logit - top) * inverse) of every token: within 1e-6, and 0 from
    /// e^-87 on or little more.
    /// - Returns: their sum.
    static func weigh(
        _ logits: Span<Float>, top: Float, _ inverse: Float, _ scratch: inout Scratch
    ) -> Double {
        let count = logits.count
        RowMath.exponentials(of: logits, minus: top, times: inverse, into: &scratch.weights)
        scratch.sums.removeAll(keepingCapacity: true)
        var total = 0.0
        unsafe scratch.weights.withUnsafeBytes { bytes in
            for start in stride(from: 0, to: count, by: blockLength) {
                let end = min(start + blockLength, count)
                var lanes = Lanes.zero
                var place = start
                while place + Lanes.scalarCount <= end {
                    lanes += unsafe bytes.loadUnaligned(
                        fromByteOffset: 4 * place, as: Lanes.self)
                    place += Lanes.scalarCount
                }
                var sum = Double(lanes.sum())
                while place < end {
                    sum += Double(
                        unsafe bytes.loadUnaligned(fromByteOffset: 4 * place, as: Float.self))
                    place += 1
                }
                scratch.sums.append(sum)
                total += sum
            }
        }
        return total
    }

    /// The token in whose part of the sum `mark` lies; nil where rounding puts it behind the last.
    /// - Parameter floor: tokens below have no weight, or next to none.
    static func pick(
        _ mark: Double, of scratch: Scratch, _ logits: Span<Float>, floor: Float
    ) -> Int32? {
        var rest = mark
        for (block, sum) in scratch.sums.enumerated() {
            guard rest < sum else {
                rest -= sum
                continue
            }
            let start = block * blockLength
            var heaviest: Int?
            for index in start..<min(start + blockLength, scratch.weights.count)
            where logits[index] >= floor {
                let weight = scratch.weights[index]
                if weight > heaviest.map({ scratch.weights[$0] }) ?? 0 { heaviest = index }
                rest -= Double(weight)
                if rest < 0 { return Int32(index) }
            }
            // Rounding may leave a little of the block's sum.
            if let heaviest { return Int32(heaviest) }
        }
        return nil
    }

    /// Fills the candidates with the likeliest tokens that together reach `mark`, by the scratch's
    /// weights: all but the least of them in the vocabulary's order. Nothing but what shares its
    /// first bits with the least one is sorted.
    static func takeNucleus(
        _ mark: Double, _ logits: Span<Float>, floor: Float, _ scratch: inout Scratch
    ) {
        // The exponent and four bits more; weights are at most 1.
        func bucket(_ weight: Float) -> Int { min(Int(weight.bitPattern >> 19), 2047) }
        if scratch.buckets.count != 2048 { scratch.buckets = Array(repeating: 0, count: 2048) }
        for index in 0..<2048 { scratch.buckets[index] = 0 }
        for weight in scratch.weights { scratch.buckets[bucket(weight)] += Double(weight) }
        var last = 2047
        var sum = scratch.buckets[last]
        while last > 0, sum < mark {
            last -= 1
            sum += scratch.buckets[last]
        }
        sum -= scratch.buckets[last]
        scratch.candidates.removeAll(keepingCapacity: true)
        var edge: [Candidate] = []
        for (index, weight) in scratch.weights.enumerated() {
            let place = bucket(weight)
            guard place >= last, logits[index] >= floor else { continue }
            let candidate = Candidate(
                token: Int32(index), logit: logits[index], weight: Double(weight))
            if place > last { scratch.candidates.append(candidate) } else { edge.append(candidate) }
        }
        edge.sort { $0.logit != $1.logit ? $0.logit > $1.logit : $0.token < $1.token }
        for candidate in edge {
            scratch.candidates.append(candidate)
            sum += candidate.weight
            if sum >= mark { break }
        }
    }

    // MARK: Scoring

    /// The token's log-probability by the model alone, its rank, and the `top` likeliest.
    package static func score(
        _ logits: Span<Float>, _ token: Int32, top: Int, scratch: inout Scratch
    ) -> ScoredToken {
        // A row that was sampled from is of numbers.
        let best = (try? argmax(logits)) ?? 0
        let highest = logits.isEmpty ? 0 : logits[Int(best)]
        let norm = log(weigh(logits, top: highest, 1, &scratch))
        func logProbability(_ logit: Float) -> Float { Float(Double(logit - highest) - norm) }
        let isKnown = token >= 0 && Int(token) < logits.count
        let logit = isKnown ? logits[Int(token)] : -.infinity
        var rank = 0
        for index in 0..<logits.count where logits[index] > logit { rank += 1 }
        takeTop(logits, top, floor: -.infinity, into: &scratch.candidates)
        return ScoredToken(
            token: token, logProbability: logProbability(logit), rank: rank,
            top: scratch.candidates.map {
                TokenProbability(token: $0.token, logProbability: logProbability($0.logit))
            })
    }
}
