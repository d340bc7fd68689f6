// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import Testing

@Suite("Progressive delivery")
struct DeliveryTests {
    static func plan() -> DeliveryPlan {
        var plan = DeliveryPlan(experiment: "roll", canary: "v2", baseline: "v1")
        plan.holdMin = .seconds(60)
        plan.answersMin = 50
        return plan
    }

    /// Traffic with error chances and latencies per arm, until the delivery is over.
    struct Run {
        var shares: [Int] = []
        var end: DeliveryController.Phase = .rolling(step: 0)
        var canaryRequests = 0
        var fault: String?

        init(
            seed: UInt64, plan: DeliveryPlan, errors: (baseline: Double, canary: Double),
            slowness: Double = 1, badness: Double = 0, restarts: Bool = false
        ) {
            var random = SeededRandom(seed: seed)
            var now = MonotonicInstant(nanoseconds: 0)
            var controller = DeliveryController(plan: plan, at: now)
            shares = [controller.share]
            for _ in 0..<400_000 {
                guard case .rolling = controller.phase else { break }
                now = now.advanced(by: .milliseconds(Int.random(in: 1...100, using: &random)))
                if restarts, Int.random(in: 0..<500, using: &random) == 0 {
                    do {
                        let kept = try JSONValue(parsing: controller.json(at: now).serialized())
                        controller = try DeliveryController(kept, plan: plan, at: now)
                    } catch { fault = "\(error)" }
                }
                let share = controller.share
                let isCanary = Int.random(in: 0..<1_000_000, using: &random) < share
                canaryRequests += isCanary ? 1 : 0
                let chance = isCanary ? errors.canary : errors.baseline
                let millis =
                    Double.random(in: 10...100, using: &random) * (isCanary ? slowness : 1)
                let action = controller.record(
                    DeliveryController.Answer(
                        isCanary: isCanary, share: share,
                        isError: Double.random(in: 0..<1, using: &random) < chance,
                        latency: .microseconds(Int(millis * 1_000))),
                    at: now)
                take(action, controller)
                if badness > 0, Int.random(in: 0..<10, using: &random) == 0 {
                    let isBad =
                        Double.random(in: 0..<1, using: &random)
                        < (isCanary ? badness : 0.05)
                    take(
                        controller.recordFeedback(
                            isCanary: isCanary, share: share, isBad: isBad, at: now), controller)
                }
            }
            end = controller.phase
        }

        private mutating func take(_ action: DeliveryAction?, _ controller: DeliveryController) {
            switch action {
            case nil: return
            case .setShare(let share):
                if share <= shares.last ?? 0 { fault = "the share went from \(shares) to \(share)" }
                shares.append(share)
            case .finish: shares.append(1_000_000)
            case .rollBack: shares.append(0)
            }
            if controller.share != shares.last { fault = "\(controller.share) against \(shares)" }
        }

        var isRolledBack: Bool { if case .rolledBack = end { true } else { false } }
    }

    @Test("a version that is as good goes through every step, and false alarms are rare")
    func goodVersion() {
        var alarms = 0
        for seed in 0..<UInt64(300) {
            let run = Run(seed: seed, plan: DeliveryTests.plan(), errors: (0.02, 0.02))
            #expect(run.fault == nil, "seed \(seed)")
            if run.isRolledBack {
                alarms += 1
            } else {
                #expect(run.shares == [10_000, 50_000, 250_000, 1_000_000], "seed \(seed)")
                #expect(run.end == .finished)
            }
        }
        // At most 5 % are allowed: 15 of 300, and 4 standard deviations.
        #expect(alarms <= 30, "\(alarms) of 300")
    }

    @Test("a version that fails three times as often is taken back, for good")
    func badVersion() {
        var missed = 0
        var asked = 0
        for seed in 0..<UInt64(100) {
            let run = Run(seed: seed, plan: DeliveryTests.plan(), errors: (0.03, 0.12))
            #expect(run.fault == nil, "seed \(seed)")
            if !run.isRolledBack { missed += 1 }
            asked += run.canaryRequests
            if case .rolledBack(.gate(let gate, _, _, let chance)) = run.end {
                #expect(gate == .errors && chance <= 0.05 / 3)
                #expect(run.shares.last == 0)
            }
        }
        #expect(missed <= 5, "\(missed) of 100 not seen")
        #expect(asked / 100 < 1_500, "\(asked / 100) requests hurt on the way")
    }

    @Test("a broken version is taken back after a handful of requests")
    func brokenVersion() {
        for seed in 0..<UInt64(50) {
            let run = Run(seed: seed, plan: DeliveryTests.plan(), errors: (0.01, 1))
            #expect(run.isRolledBack && run.shares == [10_000, 0], "seed \(seed)")
            #expect(run.canaryRequests < 15, "seed \(seed): \(run.canaryRequests)")
        }
    }

    @Test("slow answers and bad feedback take a version back too")
    func otherGates() {
        var gates: [DeliveryGate: Int] = [:]
        for seed in 0..<UInt64(20) {
            for run in [
                Run(seed: seed, plan: DeliveryTests.plan(), errors: (0, 0), slowness: 1.3),
                Run(seed: seed, plan: DeliveryTests.plan(), errors: (0, 0), badness: 0.6),
            ] {
                if case .rolledBack(.gate(let gate, _, _, _)) = run.end {
                    gates[gate, default: 0] += 1
                }
            }
        }
        #expect(gates[.latency, default: 0] >= 18, "\(gates)")
        #expect(gates[.feedback, default: 0] >= 18, "\(gates)")
    }

    @Test("restarts change nothing but the wait for a new latency threshold")
    func restarts() {
        for seed in 0..<UInt64(40) {
            let steady = Run(
                seed: seed, plan: DeliveryTests.plan(), errors: (0.02, 0.02), restarts: true)
            #expect(steady.fault == nil, "seed \(seed)")
            if !steady.isRolledBack { #expect(steady.end == .finished) }
            let bad = Run(
                seed: seed, plan: DeliveryTests.plan(), errors: (0.02, 0.3), restarts: true)
            #expect(bad.fault == nil && bad.isRolledBack, "seed \(seed)")
        }
    }

    @Test("with a proof asked for, a step waits until the canary is shown to be good enough")
    func proof() {
        var plan = DeliveryTests.plan()
        plan.proofMargin = 3
        var controller = DeliveryController(plan: plan, at: MonotonicInstant(nanoseconds: 0))
        let late = MonotonicInstant(nanoseconds: 3_600_000_000_000)
        for _ in 0..<200 {
            _ = controller.record(
                .init(isCanary: true, share: 10_000, isError: false, latency: .milliseconds(1)),
                at: late)
        }
        #expect(controller.share == 10_000)
        // Errors at the baseline only: each argues that the canary is no worse.
        var events = 0
        while controller.share == 10_000, events < 1_000 {
            events += 1
            _ = controller.record(
                .init(isCanary: false, share: 10_000, isError: true, latency: .milliseconds(1)),
                at: late)
        }
        #expect(controller.share == 50_000)
        #expect(events > 50)
    }

    @Test("kept states survive, and damaged or foreign ones are refused")
    func states() throws {
        let now = MonotonicInstant(nanoseconds: 5)
        var controller = DeliveryController(plan: DeliveryTests.plan(), at: now)
        _ = controller.rollBack(askedBy: "ana")
        #expect(controller.rollBack(askedBy: "bob") == nil)
        let kept = controller.json(at: now)
        let again = try DeliveryController(kept, plan: DeliveryTests.plan(), at: now)
        #expect(again.phase == .rolledBack(.requested("ana")) && again.share == 0)
        var other = DeliveryTests.plan()
        other.steps = [500_000, 1_000_000]
        #expect(throws: DeliveryStateError.self) {
            _ = try DeliveryController(kept, plan: other, at: now)
        }
        let object = try #require(kept.objectValue)
        for key in object.keys where key != "slow_nanoseconds" {
            var damaged = object
            damaged[key] = nil
            #expect(throws: DeliveryStateError.self, "\(key)") {
                _ = try DeliveryController(.object(damaged), plan: DeliveryTests.plan(), at: now)
            }
        }
    }

    @Test("plans that cannot be carried out are named")
    func plans() {
        func problem(_ change: (inout DeliveryPlan) -> Void) -> String? {
            var plan = DeliveryTests.plan()
            change(&plan)
            return plan.problem
        }
        #expect(problem { _ in } == nil)
        #expect(problem { $0.steps = [10, 20] } == "the last step of a delivery must be 100 %")
        #expect(problem { $0.steps = [500_000, 400_000, 1_000_000] }?.contains("40 %") == true)
        #expect(problem { $0.canary = "v1" } != nil)
        #expect(problem { $0.falseAlarm = .nan } != nil)
        #expect(problem { $0.proofMargin = 1 } != nil)
    }

    @Test("paused, the share stays; what is worse is still taken back; a restart stays paused")
    func pauses() throws {
        var now = MonotonicInstant(nanoseconds: 0)
        var controller = DeliveryController(plan: Self.plan(), at: now)
        controller.isPaused = true
        func answer(_ isCanary: Bool, isError: Bool = false) -> DeliveryController.Answer {
            DeliveryController.Answer(
                isCanary: isCanary, share: controller.share, isError: isError,
                latency: .milliseconds(10))
        }
        for _ in 0..<500 {
            now = now.advanced(by: .seconds(1))
            #expect(controller.record(answer(true), at: now) == nil)
        }
        #expect(controller.phase == .rolling(step: 0))
        let kept = try JSONValue(parsing: controller.json(at: now).serialized())
        controller = try DeliveryController(kept, plan: Self.plan(), at: now)
        #expect(controller.isPaused && controller.answersInStep == 500)
        controller.isPaused = false
        #expect(controller.advance(to: now) == .setShare(50_000))
        controller.isPaused = true
        var last: DeliveryAction?
        for _ in 0..<50 where last == nil {
            last = controller.record(answer(true, isError: true), at: now)
        }
        guard case .rollBack = last else {
            Issue.record("a paused delivery is still watched")
            return
        }
        #expect(controller.share == 0)
    }
}
