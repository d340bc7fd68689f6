// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// What is known of one member of a pool right now.
package struct MemberLoad: Sendable, Hashable {
    package var weight: Int
    package var priority: Int
    /// Requests sent from here and not answered.
    package var inFlight = 0
    /// Requests waiting there, as it last reported.
    package var queued = 0
    /// Share of its key-value memory in use, as it last reported.
    package var memoryUse = 0.0
    package var reportedAt: MonotonicInstant?
    /// Healthy, not ejected, not draining, and let through by its breaker.
    package var isUp = true
    /// When it last became so; nil: from the start.
    package var upSince: MonotonicInstant?

    package init(weight: Int = 1, priority: Int = 0) {
        self.weight = max(weight, 1)
        self.priority = priority
    }

    /// What was known of the same endpoint before; requests that are out are not ours.
    mutating func take(from before: MemberLoad) {
        queued = before.queued
        memoryUse = before.memoryUse
        reportedAt = before.reportedAt
        isUp = before.isUp
        upSince = before.upSince
    }
}

/// Members that a request has tried already: a retry goes to another.
package struct TriedMembers: Sendable {
    /// As many attempts as a pool may be configured to make.
    package static let countMax = 10
    private var members = InlineArray<10, Int32>(repeating: -1)
    package private(set) var count = 0

    package init() {}

    package mutating func add(_ member: Int) {
        guard count < TriedMembers.countMax else { return }
        members[count] = Int32(truncatingIfNeeded: member)
        count += 1
    }

    package func contains(_ member: Int) -> Bool {
        for index in 0..<count where Int(members[index]) == member { return true }
        return false
    }
}

/// A pool's members with their live load, and the choice among them.
///
/// Every choice takes only members that are up and untried, and of those only the lowest priority
/// that has any. A value; choices are O(members) at most and allocate nothing.
package struct PoolState: Sendable {
    /// What a choice goes by.
    package enum Choice: Sendable {
        case leastLoaded
        case powerOfTwo
        case weighted
        /// Keeps a key at one member, unless that has more than its share of the load.
        case hash(UInt64)
        /// Prefers this member, unless it has more than its share of the load.
        case preferred(Int)
        /// Prefers members that hold this adapter; where nobody does, keeps it at one member.
        /// Passes those by that have more than their share of the load.
        case adapter(String)
    }

    /// Reports older than this say nothing.
    package static let reportAgeMax = Duration.seconds(10)
    /// A member may have this much of the mean load before keys and preferences pass it by: the
    /// `c` of consistent hashing with bounded loads.
    package static let loadBound = 1.25
    /// A member that has just come up begins with this share of its weight.
    package static let slowStartLeast = 0.1

    package private(set) var members: [MemberLoad]
    /// By member; only pools that balance by adapters fill it.
    package private(set) var adapters: [HeldAdapters]
    private let slowStart: Duration
    private let keys: WeightedRendezvous

    /// - Parameter names: what keys are kept by, one for each member; without them their places.
    package init(members: [MemberLoad], names: [String] = [], slowStart: Duration = .zero) {
        self.members = members
        adapters = Array(repeating: HeldAdapters(), count: members.count)
        self.slowStart = slowStart
        let isNamed = names.count == members.count
        keys = WeightedRendezvous(
            names: isNamed ? names : members.indices.map(String.init),
            weights: members.map(\.weight))
    }

    // MARK: Load

    package mutating func begin(_ member: Int) { members[member].inFlight += 1 }

    package mutating func finish(_ member: Int) {
        precondition(members[member].inFlight > 0, "a request ends that never began")
        members[member].inFlight -= 1
    }

    /// Takes in what a member said of itself, in a header or in its metrics.
    package mutating func report(
        _ member: Int, queued: Int, memoryUse: Double, at now: MonotonicInstant
    ) {
        members[member].queued = max(queued, 0)
        members[member].memoryUse = min(max(memoryUse, 0), 1)
        members[member].reportedAt = now
    }

    package mutating func report(_ member: Int, _ report: AdapterReport) {
        adapters[member].take(report)
    }

    /// What the same endpoint held before.
    mutating func set(adapters held: HeldAdapters, of member: Int) { adapters[member] = held }

    /// A request for an adapter goes there.
    package mutating func use(adapter name: String, at member: Int) {
        adapters[member].use(name)
    }

    /// A member was restarted.
    package mutating func forgetAdapters(of member: Int) { adapters[member].forget() }

    package mutating func setUp(_ member: Int, _ isUp: Bool, at now: MonotonicInstant) {
        guard members[member].isUp != isUp else { return }
        members[member].isUp = isUp
        members[member].upSince = isUp ? now : nil
    }

    /// The weight that counts now: during slow start it grows from a tenth to the whole.
    package func effectiveWeight(_ member: Int, at now: MonotonicInstant) -> Double {
        let weight = Double(members[member].weight)
        guard let since = members[member].upSince, slowStart > .zero else { return weight }
        let share = since.duration(to: now) / slowStart
        return weight * min(max(share, PoolState.slowStartLeast), 1)
    }

    /// How busy a member is for its weight: lower is better.
    package func load(_ member: Int, at now: MonotonicInstant) -> Double {
        let it = members[member]
        var work = work(member, at: now) + 1
        // Nearly full memory means that requests are about to be set aside.
        if isFresh(it, now), it.memoryUse > 0.9 { work *= 1 + (it.memoryUse - 0.9) * 20 }
        return work / effectiveWeight(member, at: now)
    }

    /// Requests that a member has to do: ours in flight, and what waits there, other gateways'
    /// included.
    private func work(_ member: Int, at now: MonotonicInstant) -> Double {
        let it = members[member]
        return Double(it.inFlight) + (isFresh(it, now) ? Double(it.queued) : 0)
    }

    private func isFresh(_ member: MemberLoad, _ now: MonotonicInstant) -> Bool {
        guard let reported = member.reportedAt else { return false }
        return reported.duration(to: now) <= PoolState.reportAgeMax
    }

    // MARK: Choice

    /// A member for one request; nil when none can be asked.
    package func pick(
        _ choice: Choice, tried: TriedMembers = TriedMembers(), at now: MonotonicInstant,
        using random: inout some RandomNumberGenerator
    ) -> Int? {
        guard let candidates = candidates(tried) else { return nil }
        switch choice {
        case .leastLoaded: return leastLoaded(candidates, tried, now, &random)
        case .powerOfTwo: return powerOfTwo(candidates, tried, now, &random)
        case .weighted: return weighted(candidates, tried, now, &random)
        case .hash(let key):
            let limit = bound(candidates, tried, now)
            return keys.first(key) { member in
                isCandidate(member, candidates.priority, tried)
                    && isWithin(limit, member, now)
            } ?? leastLoaded(candidates, tried, now, &random)
        case .adapter(let name):
            return holder(of: name, candidates, tried, now)
                ?? leastLoaded(candidates, tried, now, &random)
        case .preferred(let member):
            guard members.indices.contains(member),
                isCandidate(member, candidates.priority, tried),
                isWithin(bound(candidates, tried, now), member, now)
            else { return leastLoaded(candidates, tried, now, &random) }
            return member
        }
    }

    /// In the key's order, so that what had to spread comes together again.
    private func holder(
        of adapter: String, _ candidates: (priority: Int, count: Int), _ tried: TriedMembers,
        _ now: MonotonicInstant
    ) -> Int? {
        let limit = bound(candidates, tried, now)
        let key = StableHash.hash(adapter, salt: 0)
        func canTake(_ member: Int) -> Bool {
            isCandidate(member, candidates.priority, tried) && isWithin(limit, member, now)
        }
        if adapters.contains(where: { $0.holds(adapter) }),
            let holder = keys.first(key, where: { adapters[$0].holds(adapter) && canTake($0) })
        {
            return holder
        }
        return keys.first(key, where: canTake)
    }

    private func candidates(_ tried: TriedMembers) -> (priority: Int, count: Int)? {
        var priority = Int.max
        var count = 0
        for index in members.indices where members[index].isUp && !tried.contains(index) {
            if members[index].priority < priority {
                priority = members[index].priority
                count = 0
            }
            if members[index].priority == priority { count += 1 }
        }
        return count > 0 ? (priority, count) : nil
    }

    private func isCandidate(_ member: Int, _ priority: Int, _ tried: TriedMembers) -> Bool {
        members[member].isUp && members[member].priority == priority && !tried.contains(member)
    }

    private func leastLoaded(
        _ candidates: (priority: Int, count: Int), _ tried: TriedMembers,
        _ now: MonotonicInstant, _ random: inout some RandomNumberGenerator
    ) -> Int? {
        if members.count == 1 { return 0 }
        // A random start, so that equals share the work and gateways do not move in step.
        let start = PoolState.place(below: members.count, using: &random)
        var best: (member: Int, load: Double)?
        for offset in 0..<members.count {
            let member = (start + offset) % members.count
            guard isCandidate(member, candidates.priority, tried) else { continue }
            let load = load(member, at: now)
            if load < best?.load ?? .infinity { best = (member, load) }
        }
        return best?.member
    }

    /// A number below `count` by one multiplication: uneven by less than `count` in 2^64, which
    /// no choice among members shows.
    private static func place(
        below count: Int, using random: inout some RandomNumberGenerator
    ) -> Int {
        let bits: UInt64 = random.next()
        return Int(truncatingIfNeeded: bits.multipliedFullWidth(by: UInt64(count)).high)
    }

    /// The less loaded of two drawn at random.
    ///
    /// Source: Mitzenmacher, The Power of Two Choices in Randomized Load Balancing (2001).
    private func powerOfTwo(
        _ candidates: (priority: Int, count: Int), _ tried: TriedMembers,
        _ now: MonotonicInstant, _ random: inout some RandomNumberGenerator
    ) -> Int? {
        let first = PoolState.place(below: candidates.count, using: &random)
        guard candidates.count > 1 else { return candidate(first, candidates.priority, tried) }
        var second = PoolState.place(below: candidates.count - 1, using: &random)
        if second >= first { second += 1 }
        guard let one = candidate(first, candidates.priority, tried),
            let other = candidate(second, candidates.priority, tried)
        else { return nil }
        return load(one, at: now) <= load(other, at: now) ? one : other
    }

    private func candidate(_ number: Int, _ priority: Int, _ tried: TriedMembers) -> Int? {
        var left = number
        for member in members.indices where isCandidate(member, priority, tried) {
            if left == 0 { return member }
            left -= 1
        }
        return nil
    }

    private func weighted(
        _ candidates: (priority: Int, count: Int), _ tried: TriedMembers,
        _ now: MonotonicInstant, _ random: inout some RandomNumberGenerator
    ) -> Int? {
        var total = 0.0
        for member in members.indices where isCandidate(member, candidates.priority, tried) {
            total += effectiveWeight(member, at: now)
        }
        var left = Double.random(in: 0..<total, using: &random)
        var last: Int?
        for member in members.indices where isCandidate(member, candidates.priority, tried) {
            left -= effectiveWeight(member, at: now)
            last = member
            if left < 0 { break }
        }
        return last
    }

    /// The requests per weight that no keyed choice may pass.
    private func bound(
        _ candidates: (priority: Int, count: Int), _ tried: TriedMembers, _ now: MonotonicInstant
    ) -> Double {
        var total = 1.0
        var weights = 0.0
        for member in members.indices where isCandidate(member, candidates.priority, tried) {
            total += work(member, at: now)
            weights += effectiveWeight(member, at: now)
        }
        return PoolState.loadBound * total / weights
    }

    private func isWithin(_ limit: Double, _ member: Int, _ now: MonotonicInstant) -> Bool {
        let capacity = (limit * effectiveWeight(member, at: now)).rounded(.up)
        return work(member, at: now) + 1 <= max(capacity, 1)
    }
}
