// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import Synchronization

/// All deliveries under way. Every event loop tells the same one of its answers; one short lock.
final class Deliveries: Sendable {
    /// Something happened to a delivery; `action` is nil when somebody paused or resumed it.
    struct Change: Sendable {
        var model: String
        var experiment: String
        var action: DeliveryAction?
        var what: String
    }

    private struct Entry {
        var controller: DeliveryController
        var model: String
        var canaryAnswers = 0
        var baselineAnswers = 0
    }

    private struct State {
        /// By experiment.
        var entries: [String: Entry] = [:]
        /// States of deliveries that are not in the configuration (any more).
        var kept: [String: JSONValue] = [:]
        var changes: UInt64 = 0
        var savedChanges: UInt64 = 0
        var problems: [String] = []
    }

    private static let keptMax = 1_000
    private let file: DeliveryStateFile?
    /// Nothing is known of what was rolled back before: no canary gets anything until asked for.
    private let isDamaged: Bool
    private let state: Mutex<State>

    /// - Parameter path: where the state is kept.
    init(path: String?) {
        file = path.map { DeliveryStateFile(path: $0) }
        var first = State()
        var isDamaged = false
        do throws(DeliveryStateError) {
            first.kept = try file?.read() ?? [:]
        } catch {
            isDamaged = true
            first.problems.append(
                "\(error); deliveries are held as taken back until they are restarted")
        }
        self.isDamaged = isDamaged
        state = Mutex(first)
    }

    /// What was wrong with kept states, told once.
    func takeProblems() -> [String] {
        state.withLock { state in
            let problems = state.problems
            state.problems = []
            return problems
        }
    }

    // MARK: Configuration

    /// A snapshot with the shares that its deliveries have by now. Deliveries that are new begin;
    /// those that are gone leave their state behind, should they come back.
    func adapt(_ snapshot: RoutingSnapshot, at now: MonotonicInstant) -> RoutingSnapshot {
        state.withLock { state in
            var adapted = snapshot
            var entries: [String: Entry] = [:]
            for delivery in snapshot.tables.deliveries {
                let name = delivery.plan.experiment
                let entry = entry(delivery, snapshot, at: now, &state)
                state.entries[name] = nil
                entries[name] = entry
                if adapted.share(of: delivery) != entry.controller.share {
                    adapted =
                        adapted.delivering(delivery, share: entry.controller.share) ?? adapted
                }
            }
            for (name, entry) in state.entries where state.kept.count < Deliveries.keptMax {
                state.kept[name] = entry.controller.json(at: now)
            }
            state.entries = entries
            state.changes += 1
            return adapted
        }
    }

    private func entry(
        _ delivery: RoutingTables.Delivery, _ snapshot: RoutingSnapshot,
        at now: MonotonicInstant, _ state: inout State
    ) -> Entry {
        let name = delivery.plan.experiment
        let model = snapshot.tables.models[delivery.model].name
        if let known = state.entries[name], known.controller.plan == delivery.plan { return known }
        let old = state.entries[name]?.controller.json(at: now) ?? state.kept[name]
        state.kept[name] = nil
        if let old {
            do throws(DeliveryStateError) {
                return Entry(
                    controller: try DeliveryController(old, plan: delivery.plan, at: now),
                    model: model)
            } catch {
                state.problems.append("\(error); delivery '\(name)' begins anew")
            }
        }
        var controller = DeliveryController(plan: delivery.plan, at: now)
        if isDamaged { _ = controller.rollBack(askedBy: "the gateway: its state was damaged") }
        return Entry(controller: controller, model: model)
    }

    // MARK: Input

    func record(
        _ answer: DeliveryController.Answer, experiment: String, at now: MonotonicInstant
    ) -> Change? {
        change(experiment) { entry in
            if answer.isCanary { entry.canaryAnswers += 1 } else { entry.baselineAnswers += 1 }
            return entry.controller.record(answer, at: now)
        }
    }

    func recordFeedback(
        experiment: String, isCanary: Bool, share: Int, isBad: Bool, at now: MonotonicInstant
    ) -> Change? {
        change(experiment) {
            $0.controller.recordFeedback(
                isCanary: isCanary, share: share, isBad: isBad, at: now)
        }
    }

    /// Steps that time alone completes.
    func advance(to now: MonotonicInstant) -> [Change] {
        state.withLock { state in
            var found: [Change] = []
            for name in Array(state.entries.keys) {
                guard let action = state.entries[name]?.controller.advance(to: now),
                    let entry = state.entries[name]
                else { continue }
                state.changes += 1
                found.append(Deliveries.describe(action, name, entry))
            }
            return found
        }
    }

    private func change(
        _ experiment: String, _ body: (inout Entry) -> DeliveryAction?
    ) -> Change? {
        state.withLock { state in
            guard var entry = state.entries[experiment] else { return nil }
            state.entries[experiment] = nil
            let action = body(&entry)
            state.entries[experiment] = entry
            state.changes += 1
            return action.map { Deliveries.describe($0, experiment, entry) }
        }
    }

    private static func describe(
        _ action: DeliveryAction, _ experiment: String, _ entry: Entry
    ) -> Change {
        let what =
            switch action {
            case .setShare(let share): "the canary gets \(PercentText.of(share))"
            case .rollBack(let reason): "taken back: \(reason)"
            case .finish: "finished: the canary gets everything"
            }
        return Change(model: entry.model, experiment: experiment, action: action, what: what)
    }

    // MARK: Calls

    enum Call: String { case pause, resume, abort, restart }

    /// Nil when the model has no delivery; a message when it cannot be done now.
    func call(
        _ call: Call, model: String, at now: MonotonicInstant
    ) -> Result<Change, CallRefusal>? {
        state.withLock { state in
            guard let name = state.entries.first(where: { $0.value.model == model })?.key,
                var entry = state.entries[name]
            else { return nil }
            let isRolling = if case .rolling = entry.controller.phase { true } else { false }
            var change = Change(model: model, experiment: name, action: nil, what: "")
            switch call {
            case .pause, .resume, .abort:
                guard isRolling else { return .failure(CallRefusal(message: "it is over")) }
                if call == .abort {
                    guard let action = entry.controller.rollBack(askedBy: "an administrator")
                    else { return .failure(CallRefusal(message: "it is over")) }
                    change = Deliveries.describe(action, name, entry)
                } else {
                    entry.controller.isPaused = call == .pause
                    change.what = call == .pause ? "paused" : "resumed"
                }
            case .restart:
                entry = Entry(
                    controller: DeliveryController(plan: entry.controller.plan, at: now),
                    model: model)
                change.action = .setShare(entry.controller.share)
                change.what = "begins anew"
            }
            state.entries[name] = entry
            state.changes += 1
            return .success(change)
        }
    }

    struct CallRefusal: Error { var message: String }

    // MARK: Output

    /// Writes the state where it is kept, when it has changed. Blocks on the file.
    func save(at now: MonotonicInstant) throws {
        guard let file else { return }
        try file.write {
            state.withLock { state -> JSONValue? in
                guard state.changes != state.savedChanges else { return nil }
                state.savedChanges = state.changes
                var all = JSONObject()
                for (name, old) in state.kept { all[name] = old }
                for (name, entry) in state.entries {
                    all[name] = entry.controller.json(at: now)
                }
                return ["format": 1, "deliveries": .object(all)]
            }
        }
    }

    func json() -> JSONValue {
        let entries = state.withLock { $0.entries.sorted { $0.value.model < $1.value.model } }
        return ["deliveries": .array(entries.map { Deliveries.json($0.key, $0.value) })]
    }

    /// Model, version label and share in millionths of each arm.
    var shares: [(model: String, version: String, share: Int)] {
        state.withLock { state in
            state.entries.values.sorted { $0.model < $1.model }.flatMap { entry in
                let share = entry.controller.share
                return [
                    (entry.model, entry.controller.plan.canary, share),
                    (
                        entry.model, entry.controller.plan.baseline,
                        Int(StableHash.parts) - share
                    ),
                ]
            }
        }
    }

    private static func json(_ name: String, _ entry: Entry) -> JSONValue {
        let controller = entry.controller
        var object = JSONObject()
        object["model"] = .string(entry.model)
        object["experiment"] = .string(name)
        object["from"] = .string(controller.plan.baseline)
        object["to"] = .string(controller.plan.canary)
        object["steps"] = .array(controller.plan.steps.map { .number(Double($0) / 10_000) })
        switch controller.phase {
        case .rolling(let step):
            object["phase"] = "rolling"
            object["step"] = .integer(Int64(step))
        case .finished: object["phase"] = "finished"
        case .rolledBack(let reason):
            object["phase"] = "rolled_back"
            object["reason"] = .string(reason.description)
        }
        object["paused"] = .bool(controller.isPaused)
        object["percent"] = .number(Double(controller.share) / 10_000)
        object["answers_in_step"] = .integer(Int64(controller.answersInStep))
        object["answers"] = [
            "canary": .integer(Int64(entry.canaryAnswers)),
            "baseline": .integer(Int64(entry.baselineAnswers)),
        ]
        var gates = JSONObject()
        for gate in DeliveryGate.allCases {
            let test = controller.test(gate)
            gates[gate.rawValue] = [
                "canary": .integer(Int64(test.canaryEvents)),
                "baseline": .integer(Int64(test.baselineEvents)),
                "chance": .number(test.harmChance),
            ]
        }
        object["gates"] = .object(gates)
        return .object(object)
    }
}
