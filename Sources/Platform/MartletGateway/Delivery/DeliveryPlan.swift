// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How a new version is brought out: in steps, each gated.
package struct DeliveryPlan: Sendable, Hashable {
    /// The experiment whose shares are moved.
    package var experiment: String
    package var canary: String
    package var baseline: String
    /// The canary's shares in millionths; the last is everything.
    package var steps = [10_000, 50_000, 250_000, 1_000_000]
    /// Each step lasts at least this long …
    package var holdMin: Duration = .seconds(300)
    /// … and until the canary has given so many answers in it.
    package var answersMin = 200
    /// The chance, over the whole delivery and all gates, of rolling back a version that is as
    /// good as the one before.
    package var falseAlarm = 0.05
    package var errorTolerance = 0.0
    /// Answers slower than this quantile of the baseline's count as slow.
    package var latencyQuantile = 0.95
    package var slowTolerance = 0.1
    package var feedbackTolerance = 0.0
    /// When set, a step ends only when it is shown (with the chance of error above) that the
    /// canary fails less than this many times as often as the baseline.
    package var proofMargin: Double?

    package init(experiment: String, canary: String, baseline: String) {
        self.experiment = experiment
        self.canary = canary
        self.baseline = baseline
    }

    /// What is wrong with it; nil when it can be used.
    package var problem: String? {
        if steps.isEmpty || steps.last != Int(StableHash.parts) {
            return "the last step of a delivery must be 100 %"
        }
        for (one, next) in zip(steps, steps.dropFirst()) where next <= one {
            return "steps must grow: \(PercentText.of(one)) is followed by \(PercentText.of(next))"
        }
        if steps[0] <= 0 { return "the first step must be more than nothing" }
        if canary == baseline { return "canary and baseline are both '\(canary)'" }
        if !(falseAlarm > 0 && falseAlarm < 1) { return "the false-alarm chance lies in 0…1" }
        if answersMin < 1 { return "a step needs at least one answer" }
        if let proofMargin, !(proofMargin > 1) { return "the proof's margin must be above 1" }
        return nil
    }
}

/// What a delivery wants done.
package enum DeliveryAction: Sendable, Hashable {
    /// Give the canary this share, in millionths.
    case setShare(Int)
    /// Give the canary nothing, at once.
    case rollBack(RollbackReason)
    /// Give the canary everything; the delivery is over.
    case finish
}

package enum DeliveryGate: String, Sendable, CaseIterable { case errors, latency, feedback }

/// Why a version was taken back.
package enum RollbackReason: Sendable, Hashable, CustomStringConvertible {
    /// A gate's test: events at the canary and at the baseline, and the chance of a false alarm.
    case gate(DeliveryGate, canary: Int, baseline: Int, chance: Double)
    case requested(String)

    package var description: String {
        switch self {
        case .gate(let gate, let canary, let baseline, let chance):
            "\(gate.rawValue): \(canary) at the canary and \(baseline) at the baseline, "
                + "for their shares of the traffic this happens by chance at most once in "
                + "\(chance > 0 ? String(Int(min(1 / chance, 1e15))) : "very many") deliveries"
        case .requested(let who): "asked for by \(who)"
        }
    }
}
