// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// Brings a version out step by step, and takes it back as soon as it is shown to be worse.
///
/// A value: answers and time go in, actions come out; the shell changes the shares
/// (`RoutingSnapshot.settingShares`) and keeps `json` so that a restart goes on where it was. The
/// share only ever grows until the end or until it is taken back, and then stays at nothing.
package struct DeliveryController: Sendable {
    package enum Phase: Sendable, Hashable {
        case rolling(step: Int)
        case finished
        case rolledBack(RollbackReason)
    }

    /// One answer of either arm.
    package struct Answer: Sendable, Hashable {
        package var isCanary: Bool
        /// The canary's share, in millionths, when the request was assigned.
        package var share: Int
        package var isError: Bool
        package var latency: Duration

        package init(isCanary: Bool, share: Int, isError: Bool, latency: Duration) {
            self.isCanary = isCanary
            self.share = share
            self.isError = isError
            self.latency = latency
        }
    }

    package let plan: DeliveryPlan
    package internal(set) var phase = Phase.rolling(step: 0)
    /// Answers of the canary in this step.
    package internal(set) var answersInStep = 0
    /// The share stays as it is; what is shown to be worse is still taken back.
    package var isPaused = false
    var stepBegan: MonotonicInstant
    var errors: EventRateTest
    var slow: EventRateTest
    var bad: EventRateTest
    var quantile: BaselineQuantile

    /// Begins; the caller sets the first share (`share`).
    package init(plan: DeliveryPlan, at now: MonotonicInstant) {
        precondition(plan.problem == nil, "a delivery plan is checked before it is used")
        self.plan = plan
        stepBegan = now
        let margin = plan.proofMargin ?? 2
        errors = EventRateTest(tolerance: plan.errorTolerance, margin: margin)
        slow = EventRateTest(tolerance: plan.slowTolerance, margin: margin)
        bad = EventRateTest(tolerance: plan.feedbackTolerance, margin: margin)
        quantile = BaselineQuantile(plan.latencyQuantile)
    }

    /// The canary's share now, in millionths.
    package var share: Int {
        switch phase {
        case .rolling(let step): plan.steps[step]
        case .finished: Int(StableHash.parts)
        case .rolledBack: 0
        }
    }

    package func test(_ gate: DeliveryGate) -> EventRateTest {
        switch gate {
        case .errors: errors
        case .latency: slow
        case .feedback: bad
        }
    }

    // MARK: Input

    package mutating func record(
        _ answer: Answer, at now: MonotonicInstant
    ) -> DeliveryAction? {
        guard case .rolling = phase else { return nil }
        let share = Double(answer.share) / Double(StableHash.parts)
        if answer.isCanary { answersInStep += 1 }
        if answer.isError {
            errors.record(isCanary: answer.isCanary, share: share)
        } else {
            if let limit = quantile.value, answer.latency > limit {
                slow.record(isCanary: answer.isCanary, share: share)
            }
            if !answer.isCanary { quantile.record(answer.latency) }
        }
        return advance(to: now)
    }

    /// Takes in a user's verdict on an answer: bad ones are compared per request, like errors.
    package mutating func recordFeedback(
        isCanary: Bool, share: Int, isBad: Bool, at now: MonotonicInstant
    ) -> DeliveryAction? {
        guard case .rolling = phase else { return nil }
        if isBad {
            bad.record(isCanary: isCanary, share: Double(share) / Double(StableHash.parts))
        }
        return advance(to: now)
    }

    /// Takes the version back for a reason of somebody's own; nil when it is over already.
    package mutating func rollBack(askedBy who: String) -> DeliveryAction? {
        guard case .rolling = phase else { return nil }
        return rollBack(.requested(who))
    }

    /// Looks whether the step is over; also called when nothing but time has passed.
    package mutating func advance(to now: MonotonicInstant) -> DeliveryAction? {
        guard case .rolling(let step) = phase else { return nil }
        for gate in DeliveryGate.allCases {
            let test = test(gate)
            guard test.harmChance <= chancePerGate else { continue }
            return rollBack(
                .gate(
                    gate, canary: test.canaryEvents, baseline: test.baselineEvents,
                    chance: test.harmChance))
        }
        guard !isPaused, stepBegan.duration(to: now) >= plan.holdMin,
            answersInStep >= plan.answersMin,
            isProven
        else { return nil }
        answersInStep = 0
        stepBegan = now
        if step + 1 >= plan.steps.count - 1 {
            phase = .finished
            return .finish
        }
        phase = .rolling(step: step + 1)
        return .setShare(plan.steps[step + 1])
    }

    /// The allowed chance is shared out among the gates (Bonferroni).
    private var chancePerGate: Double {
        plan.falseAlarm / Double(DeliveryGate.allCases.count)
    }

    private var isProven: Bool {
        plan.proofMargin == nil || errors.safetyChance <= chancePerGate
    }

    private mutating func rollBack(_ reason: RollbackReason) -> DeliveryAction {
        phase = .rolledBack(reason)
        return .rollBack(reason)
    }
}
