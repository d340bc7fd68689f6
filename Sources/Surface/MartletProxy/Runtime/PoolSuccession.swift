// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway

/// The pools of a changed configuration: those that stay as they are with everything they know,
/// the others with what is known of their upstreams, by name.
struct PoolSuccession {
    private struct Known {
        var identity: UpstreamIdentity
        var state: PoolMachine.MemberState
    }

    private let now: MonotonicInstant
    private var pools: [String: (PoolRuntime, RoutingTables.Pool)] = [:]
    /// By upstream, from the first pool that has it.
    private var known: [String: Known] = [:]
    private var draining: Set<String> = []

    init(_ previous: GatewayRuntime?, at now: MonotonicInstant) {
        self.now = now
        guard let previous else { return }
        for (runtime, pool) in zip(previous.pools, previous.snapshot.tables.pools) {
            pools[pool.name] = (runtime, pool)
            let states = runtime.memberStates()
            let reports = runtime.report(at: now)
            for (index, identity) in runtime.members.enumerated() {
                if reports[index].isDraining { draining.insert(identity.name) }
                if known[identity.name] == nil {
                    known[identity.name] = Known(identity: identity, state: states[index])
                }
            }
        }
    }

    func pools(
        of tables: RoutingTables, _ upstreams: [UpstreamIdentity]
    ) -> [PoolRuntime] {
        tables.pools.map { pool in
            let members = pool.members.map { upstreams[$0.upstream] }
            let before = pools[pool.name]
            if let (runtime, old) = before, isSame(runtime, old, pool, members) { return runtime }
            let own = Dictionary(
                uniqueKeysWithValues: zip(
                    before?.0.members.map(\.name) ?? [], before?.0.memberStates() ?? []))
            let seats = zip(members, pool.members).map { identity, member in
                var seat = PoolMachine.Seat(
                    name: identity.name, weight: member.weight, priority: member.priority)
                seat.canBeAsked = identity.canBeAsked
                seat.isDraining = draining.contains(identity.name)
                // Another endpoint of that name has shown nothing yet.
                if let found = known[identity.name],
                    found.identity.isSameEndpoint(as: identity)
                {
                    seat.inherited = own[identity.name] ?? found.state
                }
                return seat
            }
            return PoolRuntime(
                name: pool.name, policy: pool.policy, members: members, seats: seats, at: now,
                after: before?.0)
        }
    }

    private func isSame(
        _ runtime: PoolRuntime, _ old: RoutingTables.Pool, _ new: RoutingTables.Pool,
        _ members: [UpstreamIdentity]
    ) -> Bool {
        old.policy == new.policy && old.members.count == new.members.count
            && zip(runtime.members, members).allSatisfy { $0 === $1 }
            && zip(old.members, new.members).allSatisfy {
                $0.weight == $1.weight && $0.priority == $1.priority
            }
    }
}
