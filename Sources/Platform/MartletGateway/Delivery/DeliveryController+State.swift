// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
package import MartletJSON

/// Why a kept state cannot be taken up again.
package struct DeliveryStateError: Error, Sendable, CustomStringConvertible {
    package let message: String
    package var description: String { message }

    package init(message: String) { self.message = message }
}

/// What is kept across a restart.
extension DeliveryController {
    private static let format: JSONValue = 1
    /// What can have been counted: leaves room to count on.
    static let counts = 0...(1 << 53)
    /// A hundred years.
    private static let elapsedMax: Int64 = 3_155_760_000 * 1_000_000_000

    package func json(at now: MonotonicInstant) -> JSONValue {
        var object = JSONObject()
        object["format"] = DeliveryController.format
        object["experiment"] = .string(plan.experiment)
        object["canary"] = .string(plan.canary)
        object["baseline"] = .string(plan.baseline)
        object["steps"] = .array(plan.steps.map { .integer(Int64($0)) })
        switch phase {
        case .rolling(let step):
            object["phase"] = "rolling"
            object["step"] = .integer(Int64(step))
        case .finished: object["phase"] = "finished"
        case .rolledBack(let reason):
            object["phase"] = "rolled_back"
            object["reason"] = DeliveryController.json(reason)
        }
        object["paused"] = .bool(isPaused)
        object["answers_in_step"] = .integer(Int64(answersInStep))
        object["step_nanoseconds"] = .integer(
            max(stepBegan.duration(to: now).nanosecondsSaturating, 0))
        if let slowest = quantile.value {
            object["slow_nanoseconds"] = .integer(slowest.nanosecondsSaturating)
        }
        for gate in DeliveryGate.allCases { object[gate.rawValue] = test(gate).json }
        return .object(object)
    }

    /// Goes on from a kept state.
    /// - Throws: `DeliveryStateError` when it belongs to another plan or is no such state.
    package init(
        _ state: JSONValue, plan: DeliveryPlan, at now: MonotonicInstant
    ) throws(DeliveryStateError) {
        self.init(plan: plan, at: now)
        let steps = state["steps"]?.arrayValue?.map(\.intValue)
        guard state["format"] == DeliveryController.format,
            state["experiment"]?.stringValue == plan.experiment,
            state["canary"]?.stringValue == plan.canary,
            state["baseline"]?.stringValue == plan.baseline, steps == plan.steps
        else {
            throw DeliveryStateError(
                message: "the kept state is not that of delivery '\(plan.experiment)' with its "
                    + "present versions and steps")
        }
        switch state["phase"]?.stringValue {
        case "rolling":
            guard let step = state["step"]?.intValue,
                (0..<max(plan.steps.count - 1, 1)).contains(step)
            else { throw DeliveryController.wrong("step") }
            phase = .rolling(step: step)
        case "finished": phase = .finished
        case "rolled_back": phase = .rolledBack(try DeliveryController.reason(state["reason"]))
        default: throw DeliveryController.wrong("phase")
        }
        guard let answers = state["answers_in_step"]?.intValue,
            DeliveryController.counts.contains(answers)
        else { throw DeliveryController.wrong("answers_in_step") }
        answersInStep = answers
        guard let paused = state["paused"]?.boolValue else {
            throw DeliveryController.wrong("paused")
        }
        isPaused = paused
        guard case .integer(let elapsed)? = state["step_nanoseconds"],
            (0...DeliveryController.elapsedMax).contains(elapsed)
        else {
            throw DeliveryController.wrong("step_nanoseconds")
        }
        stepBegan = now.advanced(by: .nanoseconds(-elapsed))
        if case .integer(let slowest)? = state["slow_nanoseconds"] { quantile.restore(slowest) }
        try errors.restore(state[DeliveryGate.errors.rawValue])
        try slow.restore(state[DeliveryGate.latency.rawValue])
        try bad.restore(state[DeliveryGate.feedback.rawValue])
    }

    fileprivate static func wrong(_ member: String) -> DeliveryStateError {
        DeliveryStateError(message: "the kept state of a delivery has no usable '\(member)'")
    }

    private static func json(_ reason: RollbackReason) -> JSONValue {
        switch reason {
        case .requested(let who): ["asked_by": .string(who)]
        case .gate(let gate, let canary, let baseline, let chance):
            [
                "gate": .string(gate.rawValue), "canary": .integer(Int64(canary)),
                "baseline": .integer(Int64(baseline)), "chance": .number(chance),
            ]
        }
    }

    private static func reason(_ value: JSONValue?) throws(DeliveryStateError) -> RollbackReason {
        if let who = value?["asked_by"]?.stringValue { return .requested(who) }
        guard let gate = value?["gate"]?.stringValue.flatMap(DeliveryGate.init(rawValue:)),
            let canary = value?["canary"]?.intValue, let baseline = value?["baseline"]?.intValue,
            let chance = value?["chance"]?.doubleValue
        else { throw wrong("reason") }
        return .gate(gate, canary: canary, baseline: baseline, chance: chance)
    }
}

extension EventRateTest {
    var json: JSONValue {
        [
            "canary": .integer(Int64(canaryEvents)), "baseline": .integer(Int64(baselineEvents)),
            "logs": .array(logs.map { .number($0) }), "highest": .number(highest),
            "safety": .number(safetyLog), "safety_highest": .number(safetyHighest),
        ]
    }

    mutating func restore(_ value: JSONValue?) throws(DeliveryStateError) {
        let logs = value?["logs"]?.arrayValue?.compactMap(\.doubleValue)
        guard let canary = value?["canary"]?.intValue, DeliveryController.counts.contains(canary),
            let baseline = value?["baseline"]?.intValue,
            DeliveryController.counts.contains(baseline),
            let logs, logs.count == EventRateTest.alternativeCount,
            let highest = value?["highest"]?.doubleValue,
            let safety = value?["safety"]?.doubleValue,
            let safetyHighest = value?["safety_highest"]?.doubleValue
        else { throw DeliveryStateError(message: "the kept state of a gate is damaged") }
        canaryEvents = canary
        baselineEvents = baseline
        self.logs = logs
        self.highest = highest
        safetyLog = safety
        self.safetyHighest = safetyHighest
    }
}
