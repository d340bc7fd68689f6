// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import Synchronization

/// Takes in verdicts on answers, for all event loops.
final class FeedbackDesk: Sendable {
    /// Whose an answer was; one object for all answers of a version by one configuration.
    final class Target: Sendable {
        let label: LoopMetrics.VersionLabel
        /// The delivery that it counts for.
        let experiment: String?
        let isCanary: Bool
        let badBelow: Double

        init(
            label: LoopMetrics.VersionLabel, experiment: String?, isCanary: Bool, badBelow: Double
        ) {
            self.label = label
            self.experiment = experiment
            self.isCanary = isCanary
            self.badBelow = badBelow
        }
    }

    struct Subject: Sendable {
        var target: Target
        /// The canary's share when it was assigned.
        var share: Int
        /// The name of the API key that asked: nobody else judges its answers.
        var key: String?
    }

    struct Totals: Sendable {
        var good = 0
        var bad = 0
        var score = 0.0
    }

    private struct State {
        var memory: FeedbackMemory<Subject>
        var totals: [LoopMetrics.VersionLabel: Totals] = [:]
    }

    private let state: Mutex<State>

    init(policy: FeedbackPolicy) { state = Mutex(State(memory: FeedbackMemory(policy: policy))) }

    func remember(_ id: UInt64, _ subject: Subject, at now: MonotonicInstant) {
        state.withLock { $0.memory.remember(id, subject, at: now) }
    }

    enum Answer {
        case taken(Subject, isBad: Bool)
        case given
        case unknown
    }

    func take(_ body: FeedbackBody, key: String?, at now: MonotonicInstant) -> Answer {
        state.withLock { state in
            // An id may be the gateway's own or look like one.
            var id = RequestID.number(body.id, of: key)
            if let made = RequestID.number(made: body.id) {
                if case .unknown = state.memory.look(made, at: now) {} else { id = made }
            }
            switch state.memory.look(id, at: now) {
            case .unknown: return .unknown
            case .given: return .given
            case .known(let subject):
                guard subject.key == key else { return .unknown }
                state.memory.close(id)
                let isBad = body.score < subject.target.badBelow
                if isBad {
                    state.totals[subject.target.label, default: Totals()].bad += 1
                } else {
                    state.totals[subject.target.label, default: Totals()].good += 1
                }
                state.totals[subject.target.label, default: Totals()].score += body.score
                return .taken(subject, isBad: isBad)
            }
        }
    }

    var totals: [LoopMetrics.VersionLabel: Totals] { state.withLock { $0.totals } }
}
