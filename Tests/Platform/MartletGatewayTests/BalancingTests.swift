// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import Testing

@Suite("Balancing")
struct BalancingTests {
    private func instant(_ seconds: Double) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: Int64(seconds * 1e9))
    }

    private func pool(_ weights: [Int], slowStart: Duration = .zero) -> PoolState {
        PoolState(
            members: weights.map { MemberLoad(weight: $0) },
            names: weights.indices.map { "m\($0)" }, slowStart: slowStart)
    }

    /// Picks without letting any request end.
    private func shares(
        _ pool: PoolState, _ choice: PoolState.Choice, count: Int, at now: MonotonicInstant
    ) -> [Int] {
        var random = SeededRandom(seed: 1)
        var counts = [Int](repeating: 0, count: pool.members.count)
        for _ in 0..<count {
            if let member = pool.pick(choice, at: now, using: &random) { counts[member] += 1 }
        }
        return counts
    }

    @Test("weights come out as shares")
    func weights() {
        let counts = shares(pool([1, 3, 6]), .weighted, count: 10_000, at: instant(0))
        for (seen, expected) in zip(counts, [1_000, 3_000, 6_000]) {
            #expect(abs(seen - expected) < 200, "\(counts)")
        }
    }

    @Test("the least loaded takes its weight, its reports and their age into account")
    func leastLoaded() {
        var random = SeededRandom(seed: 1)
        var pool = pool([1, 2])
        pool.begin(0)
        pool.begin(1)
        #expect(pool.pick(.leastLoaded, at: instant(0), using: &random) == 1)
        pool.report(1, queued: 10, memoryUse: 0, at: instant(0))
        #expect(pool.pick(.leastLoaded, at: instant(5), using: &random) == 0)
        #expect(pool.pick(.leastLoaded, at: instant(11), using: &random) == 1)
        pool.report(1, queued: 0, memoryUse: 1, at: instant(20))
        pool.finish(0)
        #expect(pool.pick(.leastLoaded, at: instant(20), using: &random) == 0)
    }

    @Test("keys and preferences pass a member by where too much waits, as long as that is known")
    func bounds() {
        var random = SeededRandom(seed: 1)
        var pool = pool([1, 1])
        #expect(pool.pick(.preferred(1), at: instant(0), using: &random) == 1)
        pool.report(1, queued: 10, memoryUse: 0, at: instant(0))
        #expect(pool.pick(.preferred(1), at: instant(5), using: &random) == 0)
        #expect(pool.pick(.preferred(1), at: instant(11), using: &random) == 1)
        pool.report(0, queued: 10, memoryUse: 0, at: instant(20))
        pool.report(1, queued: 10, memoryUse: 0, at: instant(20))
        #expect(pool.pick(.preferred(1), at: instant(20), using: &random) == 1)
        for key in UInt64(0)..<64 {
            pool.report(0, queued: 0, memoryUse: 0, at: instant(30))
            pool.report(1, queued: 10, memoryUse: 0, at: instant(30))
            #expect(pool.pick(.hash(key), at: instant(30), using: &random) == 0)
        }
    }

    @Test("only the lowest priority that can be asked is asked, and never one that was tried")
    func priorities() {
        var random = SeededRandom(seed: 1)
        var pool = PoolState(
            members: [
                MemberLoad(priority: 0), MemberLoad(priority: 0), MemberLoad(priority: 1),
            ], names: ["a", "b", "c"])
        var tried = TriedMembers()
        tried.add(0)
        for choice in [
            PoolState.Choice.leastLoaded, .powerOfTwo, .weighted, .hash(5), .preferred(0),
        ] {
            for _ in 0..<20 {
                let picked = pool.pick(choice, tried: tried, at: instant(0), using: &random)
                #expect(picked == 1)
            }
        }
        pool.setUp(1, false, at: instant(0))
        #expect(pool.pick(.powerOfTwo, tried: tried, at: instant(0), using: &random) == 2)
        tried.add(2)
        #expect(pool.pick(.weighted, tried: tried, at: instant(0), using: &random) == nil)
    }

    @Test("a member that comes up begins with a tenth of its weight and grows into it")
    func slowStart() {
        var pool = pool([10, 10], slowStart: .seconds(100))
        pool.setUp(1, false, at: instant(0))
        pool.setUp(1, true, at: instant(10))
        #expect(pool.effectiveWeight(1, at: instant(10)) == 1)
        #expect(pool.effectiveWeight(1, at: instant(60)) == 5)
        #expect(pool.effectiveWeight(1, at: instant(500)) == 10)
        #expect(pool.effectiveWeight(0, at: instant(10)) == 10)
        let counts = shares(pool, .weighted, count: 11_000, at: instant(10))
        #expect(abs(counts[1] - 1_000) < 150, "\(counts)")
    }

    @Test("a key stays where it is; a member that goes takes only its own keys with it")
    func hashing() {
        var random = SeededRandom(seed: 1)
        var pool = pool([1, 1, 1, 1, 2])
        var homes: [UInt64: Int] = [:]
        for key in 0..<6_000 {
            let hash = StableHash.hash("k\(key)", salt: 0)
            homes[hash] = pool.pick(.hash(hash), at: instant(0), using: &random)
        }
        let counts = (0..<5).map { member in homes.values.filter { $0 == member }.count }
        #expect(counts.prefix(4).allSatisfy { (600...1_400).contains($0) }, "\(counts)")
        #expect((1_500...2_500).contains(counts[4]), "\(counts)")
        pool.setUp(2, false, at: instant(0))
        for (hash, home) in homes {
            let now = pool.pick(.hash(hash), at: instant(0), using: &random)
            #expect(home == 2 ? now != 2 : now == home)
        }
    }

    @Test("keys go by members' names: another order moves none, a member more or less only its own")
    func hashingOverChanges() {
        let weights = ["a": 1, "b": 3, "c": 1, "d": 2, "e": 1]
        func homes(_ names: [String], _ weights: [String: Int]) -> [String] {
            var random = SeededRandom(seed: 1)
            let pool = PoolState(
                members: names.map { MemberLoad(weight: weights[$0] ?? 1) }, names: names)
            return (0..<4_000).map { key in
                let hash = StableHash.hash("user-\(key)", salt: 0)
                return pool.pick(.hash(hash), at: instant(0), using: &random).map { names[$0] }
                    ?? "nobody"
            }
        }
        let all = homes(["a", "b", "c", "d", "e"], weights)
        #expect(homes(["d", "b", "e", "a", "c"], weights) == all)
        for gone in ["a", "b", "e"] {
            let rest = homes(["a", "b", "c", "d", "e"].filter { $0 != gone }, weights)
            for (before, after) in zip(all, rest) {
                #expect(before == gone ? after != gone : after == before)
            }
        }
        // A heavier member gains keys and loses none; the others swap none among themselves.
        var heavier = weights
        heavier["c"] = 4
        for (before, after) in zip(all, homes(["a", "b", "c", "d", "e"], heavier)) {
            #expect(after == before || after == "c")
        }
        for (name, weight) in weights {
            let share = all.count { $0 == name }
            #expect(abs(share - 500 * weight) < 150, "\(name): \(share)")
        }
    }

    @Test("one hot key spreads instead of drowning its member: the load bound holds")
    func boundedLoad() {
        for seed in 0..<UInt64(200) {
            var random = SeededRandom(seed: seed)
            let count = Int.random(in: 2...12, using: &random)
            var pool = pool(Array(repeating: 1, count: count))
            var open: [Int] = []
            for step in 0..<600 {
                let key: UInt64 = step % 3 == 0 ? random.next() : 42
                guard let member = pool.pick(.hash(key), at: instant(0), using: &random) else {
                    Issue.record("seed \(seed): nobody")
                    return
                }
                let total = Double(open.count + 1)
                pool.begin(member)
                open.append(member)
                let limit = (PoolState.loadBound * total / Double(count)).rounded(.up)
                guard Double(pool.members[member].inFlight) <= max(limit, 1) else {
                    Issue.record("seed \(seed): \(pool.members[member].inFlight) over \(limit)")
                    return
                }
                while open.count > 60 || (!open.isEmpty && Bool.random(using: &random)) {
                    pool.finish(open.remove(at: Int.random(in: 0..<open.count, using: &random)))
                }
            }
        }
    }

    @Test("whatever happens, nobody who is down or ejected is asked")
    func ejected() {
        for seed in 0..<UInt64(1_000) {
            var random = SeededRandom(seed: seed)
            let count = Int.random(in: 1...6, using: &random)
            var pool = PoolState(
                members: (0..<count).map { _ in
                    MemberLoad(
                        weight: Int.random(in: 1...5, using: &random),
                        priority: Int.random(in: 0...1, using: &random))
                }, names: (0..<count).map { "m\($0)" }, slowStart: .seconds(5))
            var now = instant(0)
            var ejection = OutlierEjection(upstreams: count, at: now)
            let broken = Int.random(in: 0..<count, using: &random)
            var index = PrefixIndex(capacity: 64, blockBytes: 4)
            for _ in 0..<150 {
                now = now.advanced(by: .milliseconds(Int.random(in: 0...2_000, using: &random)))
                ejection.advance(to: now)
                for member in 0..<count { pool.setUp(member, !ejection.isEjected(member), at: now) }
                let prompt = [UInt8](repeating: UInt8.random(in: 0...3, using: &random), count: 16)
                let warm = pool.warmest(index.match(prompt.span, salt: 0), at: now)
                let choices: [PoolState.Choice] = [
                    .leastLoaded, .powerOfTwo, .weighted, .hash(random.next()),
                    .preferred(warm ?? 0),
                ]
                let choice = choices[Int.random(in: 0..<choices.count, using: &random)]
                guard let member = pool.pick(choice, at: now, using: &random) else {
                    Issue.record("seed \(seed): nobody, with \(ejection.ejectedCount) ejected")
                    return
                }
                let best = (0..<count).filter { !ejection.isEjected($0) }
                    .map { pool.members[$0].priority }.min()
                guard !ejection.isEjected(member), pool.members[member].priority == best else {
                    Issue.record("seed \(seed): \(member) was asked")
                    return
                }
                index.insert(prompt.span, salt: 0, member: member)
                ejection.record(
                    member,
                    isSuccess: member != broken || Int.random(in: 0..<4, using: &random) == 0,
                    at: now)
            }
        }
    }

    @Test("two choices keep queues far shorter than one")
    func twoChoices() {
        var random = SeededRandom(seed: 9)
        func longest(_ choice: PoolState.Choice) -> Int {
            var pool = pool(Array(repeating: 1, count: 100))
            for _ in 0..<10_000 {
                if let member = pool.pick(choice, at: instant(0), using: &random) {
                    pool.begin(member)
                }
            }
            return pool.members.map(\.inFlight).max() ?? 0
        }
        let one = longest(.weighted)
        let two = longest(.powerOfTwo)
        #expect(two <= 105 && one >= 115, "\(two) against \(one)")
    }
}

@Suite("Prefix index")
struct PrefixIndexTests {
    @Test("the longest known beginning is found, per model, and forgotten with its member")
    func matching() {
        var index = PrefixIndex(capacity: 100, blockBytes: 4)
        let prompt = Array("aaaabbbbccccdd".utf8)
        index.insert(prompt.span, salt: 1, member: 3)
        let other = Array("aaaabbbbxxxx".utf8)
        let near = Array("aaaabbbbzzzz".utf8)
        let far = Array("baaabbbb".utf8)
        index.insert(other.span, salt: 1, member: 5)
        var match = index.match(prompt.span, salt: 1)
        #expect(match.blocks == 3 && match.members == 1 << 3)
        match = index.match(near.span, salt: 1)
        #expect(match.blocks == 2 && match.members == 1 << 3 | 1 << 5)
        match = index.match(far.span, salt: 1)
        #expect(match.blocks == 0 && match.members == 0)
        match = index.match(prompt.span, salt: 2)
        #expect(match.blocks == 0)
        index.forget(member: 3)
        match = index.match(prompt.span, salt: 1)
        #expect(match.blocks == 2 && match.members == 1 << 5)
    }

    @Test("it never grows beyond its bound, and keeps what is used")
    func bounded() {
        var index = PrefixIndex(capacity: 64, blockBytes: 8)
        let kept = Array("system prompt that everyone shares".utf8)
        index.insert(kept.span, salt: 0, member: 1)
        var random = SeededRandom(seed: 3)
        for _ in 0..<5_000 {
            let prompt = (0..<24).map { _ in UInt8.random(in: 0...255, using: &random) }
            index.insert(prompt.span, salt: 0, member: 2)
            let match = index.match(kept.span, salt: 0)
            #expect(match.blocks == 4)
        }
        #expect(index.count == 64)
    }

    @Test("conversations go where their past is warm, and no member drowns")
    func affinity() {
        var random = SeededRandom(seed: 4)
        let now = MonotonicInstant(nanoseconds: 0)
        var pool = PoolState(
            members: (0..<8).map { _ in MemberLoad() }, names: (0..<8).map { "m\($0)" })
        var index = PrefixIndex(capacity: 20_000, blockBytes: 64)
        var prompts = (0..<200).map { _ in
            (0..<64).map { _ in UInt8.random(in: 0...255, using: &random) }
        }
        var warm = 0
        var turns = 0
        var open: [Int] = []
        for _ in 0..<4_000 {
            let user = Int.random(in: 0..<200, using: &random)
            let prompt = prompts[user]
            let match = index.match(prompt.span, salt: 0)
            let preferred = pool.warmest(match, at: now)
            let choice = preferred.map { PoolState.Choice.preferred($0) } ?? .leastLoaded
            guard let member = pool.pick(choice, at: now, using: &random) else { return }
            if prompts[user].count > 64 {
                turns += 1
                if match.members & (1 << UInt64(member)) != 0 { warm += 1 }
            }
            index.insert(prompt.span, salt: 0, member: member)
            pool.begin(member)
            open.append(member)
            if open.count > 64 { pool.finish(open.removeFirst()) }
            prompts[user] += (0..<64).map { _ in UInt8.random(in: 0...255, using: &random) }
            if prompts[user].count > 1_024 { prompts[user].removeLast(960) }
        }
        #expect(Double(warm) / Double(turns) > 0.75, "\(warm) of \(turns)")
        #expect(pool.members.map(\.inFlight).max() ?? 0 <= 12)
    }
}
