// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
internal import MartletResilience

/// What health checks, upstreams and whoever runs the gateway say of members.
extension PoolMachine {
    /// As its last checks said.
    package func isWell(_ member: Int) -> Bool { health[member].isWell }

    /// Takes in a health check's answer.
    /// - Returns: whether that has changed what is thought of the member.
    package mutating func take(
        _ member: Int, isWell: Bool, _ policy: HealthCheckPolicy
    ) -> Bool {
        let isWell = isWell && canBeAsked[member]
        if health[member].isWell == isWell {
            health[member].streak = 0
            return false
        }
        health[member].streak += 1
        let needed = isWell ? policy.successes : policy.failures
        guard health[member].streak >= needed else { return false }
        health[member].isWell = isWell
        health[member].streak = 0
        // What it had loaded may be gone when it comes back.
        if !isWell { pool.forgetAdapters(of: member) }
        return true
    }

    /// Sends a member nothing new, or takes it back, and then at once.
    package mutating func setDraining(_ member: Int, _ isDraining: Bool) {
        health[member].isDraining = isDraining
        if !isDraining { health[member].restsUntil = MonotonicInstant(nanoseconds: .min) }
    }

    package struct MemberReport: Sendable, Hashable {
        package var inFlight: Int
        package var queued: Int
        package var memoryUse: Double
        package var adapters: [String]
        package var isWell: Bool
        package var isDraining: Bool
        package var isEjected: Bool
        package var breaker: String
        /// How long it is left alone yet, because it asked for that.
        package var rests: Duration
    }

    package func report(at now: MonotonicInstant) -> [MemberReport] {
        breakers.indices.map { member in
            let breaker =
                switch breakers[member].phase {
                case .closed: "closed"
                case .open: "open"
                case .halfOpen: "half_open"
                }
            let until = health[member].restsUntil
            return MemberReport(
                inFlight: pool.members[member].inFlight, queued: pool.members[member].queued,
                memoryUse: pool.members[member].memoryUse,
                adapters: pool.adapters[member].names, isWell: health[member].isWell,
                isDraining: health[member].isDraining, isEjected: outliers.isEjected(member),
                breaker: breaker, rests: until > now ? now.duration(to: until) : .zero)
        }
    }
}
