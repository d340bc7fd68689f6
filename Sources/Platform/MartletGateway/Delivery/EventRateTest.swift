// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Tells, at any time and as often as one likes to look, whether bad events (errors, slow answers)
/// happen more often at the canary than at the baseline.
///
/// Requests are assigned at random with a known share. If both arms were equal, each bad event
/// would come from the canary with just that probability, whatever the rate of events is and
/// however it changes. So every event multiplies a likelihood ratio, and the mean of the ratios
/// over a grid of alternatives is a martingale that begins at 1: it reaches 1/α with a probability
/// of at most α, over the whole run (Ville, 1939). Shares may change from event to event.
///
/// Sources: Robbins, Statistical Methods Related to the Law of the Iterated Logarithm (1970), for
/// the mixture; Johari, Pekelis and Walsh, Always Valid Inference (2015); Lindon, Sanden and
/// Shirikian, Rapid Regression Detection in Software Deployments through Sequential Testing
/// (2022), for the conditional form. It assumes that answers are independent: users who each cause
/// many events make it hasty.
package struct EventRateTest: Sendable, Hashable {
    /// By how much the canary's rate may exceed what is tolerated, in each alternative.
    private static let ratios = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0]

    /// The canary's rate may be `1 + tolerance` times the baseline's.
    package let tolerance: Double
    /// The rate, in multiples of the baseline's, that `safety` argues against.
    package let margin: Double
    package internal(set) var canaryEvents = 0
    package internal(set) var baselineEvents = 0
    /// Logarithms of the likelihood ratios, one per alternative.
    var logs = [Double](repeating: 0, count: ratios.count)
    /// The highest logarithm of the mixture so far.
    var highest = 0.0
    /// The logarithm of the ratio of "equal" against "as bad as the margin", and its highest.
    var safetyLog = 0.0
    var safetyHighest = 0.0

    package init(tolerance: Double = 0, margin: Double = 2) {
        self.tolerance = max(tolerance, 0)
        self.margin = max(margin, 1 + self.tolerance)
    }

    static var alternativeCount: Int { ratios.count }

    /// Takes in one bad event. `share` is the canary's share of the traffic when the request was
    /// assigned; at 0 and at 1 an event says nothing.
    package mutating func record(isCanary: Bool, share: Double) {
        if isCanary { canaryEvents += 1 } else { baselineEvents += 1 }
        guard share > 0, share < 1 else { return }
        let null = EventRateTest.odds(share, 1 + tolerance)
        for (index, ratio) in EventRateTest.ratios.enumerated() {
            let alternative = EventRateTest.odds(share, (1 + tolerance) * ratio)
            logs[index] += EventRateTest.gain(isCanary, alternative, over: null)
        }
        highest = max(highest, evidence)
        safetyLog += EventRateTest.gain(
            isCanary, EventRateTest.odds(share, 1), over: EventRateTest.odds(share, margin))
        safetyHighest = max(safetyHighest, safetyLog)
    }

    /// The chance, at most, that equal arms would ever have looked this bad.
    package var harmChance: Double { min(1, exp(-highest)) }

    /// The chance, at most, that a canary as bad as the margin would ever have looked this good.
    package var safetyChance: Double { min(1, exp(-safetyHighest)) }

    private var evidence: Double {
        let most = logs.reduce(-Double.infinity, max)
        return most + log(logs.reduce(0) { $0 + exp($1 - most) } / Double(logs.count))
    }

    /// The chance that an event is the canary's when its rate is `ratio` times the baseline's.
    private static func odds(_ share: Double, _ ratio: Double) -> Double {
        share * ratio / (share * ratio + 1 - share)
    }

    private static func gain(_ isCanary: Bool, _ chance: Double, over null: Double) -> Double {
        isCanary ? log(chance / null) : log((1 - chance) / (1 - null))
    }
}
