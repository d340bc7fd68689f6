// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// One request answered by the primary and by the candidate, and what differed.
package struct ExchangeComparison: Sendable {
    package var id: String
    package var differences: [JSONDifference] = []
    /// What differed between two answers of the primary; nil when it was asked once only.
    package var noise: [JSONDifference]?
    package var text: TextDistance?
    package var tensors: [TensorComparison] = []
    package var primaryLatency: Duration
    package var candidateLatency: Duration
    package var primaryTokens = 0
    package var candidateTokens = 0
    /// Money in millionths of the currency's unit.
    package var primaryCost: Int64 = 0
    package var candidateCost: Int64 = 0
    package var code: [CodeComparison] = []
    package var primaryFirstByte: Duration?
    package var candidateFirstByte: Duration?
    /// The beginnings of the request and of both answers, for a look.
    package var request = ""
    package var before = ""
    package var after = ""

    package init(id: String, primaryLatency: Duration, candidateLatency: Duration) {
        self.id = id
        self.primaryLatency = primaryLatency
        self.candidateLatency = candidateLatency
    }
}

/// Sums up compared exchanges: which paths differ how often, what of that is noise, and the worst
/// cases.
///
/// A path is charged to the candidate when it differs clearly more often than between two answers
/// of the primary: by more than a fifth of both together, as Twitter's Diffy does it (2015), which
/// also had the three-way comparison. Bounded in paths and in cases kept.
package struct ComparisonReport: Sendable {
    package static let patternsMax = 2_000
    package static let worstMax = 20
    package static let reasonsMax = 32
    private static let chargedShare = 0.2

    package struct Row: Sendable, Hashable {
        package var pattern: String
        package var kinds: [String]
        /// Exchanges in which the candidate differs, and those in which the primary does from
        /// itself.
        package var candidate: Int
        package var noise: Int
        package var isCharged: Bool
        /// The first difference of this kind, for a look.
        package var example: JSONDifference
    }

    struct Tally {
        var kinds: Set<JSONDifference.Kind> = []
        var candidate = 0
        var noise = 0
        var example: JSONDifference
    }

    package internal(set) var exchanges = 0
    package internal(set) var noiseExchanges = 0
    package internal(set) var equalExchanges = 0
    /// Differences on paths beyond those that are kept.
    package internal(set) var uncounted = 0
    package internal(set) var tensorsOutside = 0
    package internal(set) var tensorCount = 0
    package internal(set) var cosineLeast: Double?
    /// Sums over all exchanges.
    package internal(set) var primaryLatency = Duration.zero
    package internal(set) var candidateLatency = Duration.zero
    package internal(set) var primaryTokens = 0
    package internal(set) var candidateTokens = 0
    package internal(set) var primaryCost: Int64 = 0
    package internal(set) var candidateCost: Int64 = 0
    /// The exchanges that differ most, worst first.
    package internal(set) var worst: [ComparisonSample] = []
    package internal(set) var codeBlocks = 0
    package internal(set) var codeDiffering = 0
    package internal(set) var codeUnparsed = 0
    /// Exchanges in which both answers' first bytes were timed, and the sums.
    package internal(set) var firstBytes = 0
    package internal(set) var primaryFirstByte = Duration.zero
    package internal(set) var candidateFirstByte = Duration.zero
    /// Requests that the candidate gave no whole answer to, by reason: nothing of them is in the
    /// other numbers.
    package internal(set) var failures: [String: Int] = [:]
    package internal(set) var primaryLatencies = LatencySample()
    package internal(set) var candidateLatencies = LatencySample()
    var textShare = 0.0
    var texts = 0
    var tallies: [String: Tally] = [:]

    package init() {}

    package mutating func add(_ exchange: ExchangeComparison) {
        exchanges += 1
        let noise = Set((exchange.noise ?? []).map(\.pattern))
        if exchange.noise != nil { noiseExchanges += 1 }
        if exchange.differences.isEmpty, exchange.tensors.allSatisfy(\.isWithin) {
            equalExchanges += 1
        }
        var seen: Set<String> = []
        for difference in exchange.differences {
            count(difference, isFirst: seen.insert(difference.pattern).inserted, isNoise: false)
        }
        seen = []
        for difference in exchange.noise ?? [] {
            count(difference, isFirst: seen.insert(difference.pattern).inserted, isNoise: true)
        }
        for tensor in exchange.tensors {
            tensorCount += 1
            if !tensor.isWithin { tensorsOutside += 1 }
            if let cosine = tensor.cosine { cosineLeast = min(cosineLeast ?? 1, cosine) }
        }
        if let text = exchange.text {
            texts += 1
            textShare += text.share
        }
        for code in exchange.code {
            codeBlocks += 1
            if !code.isSame { codeDiffering += 1 }
            if !code.isParsed { codeUnparsed += 1 }
        }
        if let one = exchange.primaryFirstByte, let other = exchange.candidateFirstByte {
            firstBytes += 1
            primaryFirstByte += one
            candidateFirstByte += other
        }
        primaryLatencies.add(exchange.primaryLatency)
        candidateLatencies.add(exchange.candidateLatency)
        primaryLatency += exchange.primaryLatency
        candidateLatency += exchange.candidateLatency
        primaryTokens += exchange.primaryTokens
        candidateTokens += exchange.candidateTokens
        primaryCost += exchange.primaryCost
        candidateCost += exchange.candidateCost
        rank(exchange, noise)
    }

    /// Counts a request that the candidate gave no whole answer to. What comes after the first
    /// reasons is counted together.
    package mutating func addFailure(_ reason: String) {
        let reason = String(reason.prefix(200))
        let isKept = failures[reason] != nil || failures.count < ComparisonReport.reasonsMax
        failures[isKept ? reason : "other reasons", default: 0] += 1
    }

    /// Requests that the candidate gave no whole answer to.
    package var failed: Int { failures.values.reduce(0, +) }

    private mutating func count(_ difference: JSONDifference, isFirst: Bool, isNoise: Bool) {
        // Long values are cut: reports have a bound.
        var difference = difference
        difference.before = difference.before.map { ComparisonSample.short($0) }
        difference.after = difference.after.map { ComparisonSample.short($0) }
        if tallies[difference.pattern] == nil {
            guard tallies.count < ComparisonReport.patternsMax else {
                uncounted += 1
                return
            }
            tallies[difference.pattern] = Tally(example: difference)
        }
        if !isNoise { tallies[difference.pattern]?.kinds.insert(difference.kind) }
        guard isFirst else { return }
        if isNoise {
            tallies[difference.pattern]?.noise += 1
        } else {
            // The example shows the candidate, where it has one.
            if tallies[difference.pattern]?.candidate == 0 {
                tallies[difference.pattern]?.example = difference
            }
            tallies[difference.pattern]?.candidate += 1
        }
    }

    private mutating func rank(_ exchange: ExchangeComparison, _ noise: Set<String>) {
        var severity = 0.0
        for difference in exchange.differences where !noise.contains(difference.pattern) {
            severity += difference.kind == .changed ? 1 : 2
        }
        // Texts that differ in their code's layout alone have no difference.
        if !exchange.differences.isEmpty { severity += 5 * (exchange.text?.share ?? 0) }
        for tensor in exchange.tensors where tensor.count > 0 {
            severity += 5 * Double(tensor.outside) / Double(tensor.count)
        }
        for code in exchange.code { severity += min(Double(code.differences.count), 5) }
        guard severity > 0 else { return }
        let place = worst.firstIndex(where: { $0.severity < severity }) ?? worst.count
        guard place < ComparisonReport.worstMax else { return }
        worst.insert(
            ComparisonSample(exchange, severity: severity, noise: noise), at: place)
        if worst.count > ComparisonReport.worstMax { worst.removeLast() }
    }

    /// The paths that differ: charged ones first, then by how often.
    package var rows: [Row] {
        let scale = noiseExchanges > 0 ? Double(exchanges) / Double(noiseExchanges) : 0
        return tallies.map { pattern, tally in
            let candidate = Double(tally.candidate)
            let noise = Double(tally.noise) * scale
            return Row(
                pattern: pattern, kinds: tally.kinds.map(\.rawValue).sorted(),
                candidate: tally.candidate, noise: tally.noise,
                isCharged: candidate - noise
                    > ComparisonReport.chargedShare * (candidate + noise),
                example: tally.example)
        }
        .filter { $0.candidate > 0 }
        .sorted {
            ($0.isCharged ? 0 : 1, -$0.candidate, $0.pattern)
                < ($1.isCharged ? 0 : 1, -$1.candidate, $1.pattern)
        }
    }

    /// The mean share of words that differ, over exchanges with texts.
    package var meanTextShare: Double? { texts == 0 ? nil : textShare / Double(texts) }
}
