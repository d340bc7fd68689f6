// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import NIOCore

/// Limits and kept answers in Redis, exact across replicas. While Redis is away or slow, limits go
/// by this replica's share (a limit divided by the number of replicas), and what was admitted so
/// is owed: it is charged as soon as Redis is back.
///
/// Over-admission: none while Redis answers. However often it goes and comes back, what all
/// replicas admit by a limit is in any time t at most 2 · burst + rate · t (and for limits that do
/// not divide, one more for each replica).
final class RedisState: SharedState {
    private struct Account {
        var limiter: Limiter
        /// Requests of this loop that Redis counts as in flight.
        var inFlight = 0
        /// Admitted by the share and not charged yet.
        var requestsOwed = 0
        private(set) var tokensOwed = 0

        init(limiter: Limiter) { self.limiter = limiter }

        mutating func owe(tokens: Int) { tokensOwed = tokensOwed.addingSaturating(tokens) }
        mutating func forgetTokens() { tokensOwed = 0 }
    }

    let link: RedisLink
    let loop: ProxyLoop
    let me: [UInt8]
    @safe @exclusivity(unchecked) var charges = BudgetCharges()
    /// Whose charges are under way.
    @safe @exclusivity(unchecked) var charged: [String: HeldBudget] = [:]
    /// When every replica will have told what it spent while Redis was away.
    @safe @exclusivity(unchecked) var settledFrom: MonotonicInstant?
    @safe @exclusivity(unchecked) private var accounts: [String: Account] = [:]

    init(_ link: RedisLink, number: Int, loop: ProxyLoop) {
        self.link = link
        self.loop = loop
        me = Array("\(link.process)/\(number)".utf8)
        link.cameBack = { [weak self] in
            self?.settledFrom = loop.shared.time.now().advanced(by: RedisState.settlingTime)
            self?.catchUp()
        }
    }

    var wait: Duration { link.configuration.wait }
    func isLate() { link.isLate() }

    // MARK: Limits

    func admit(
        _ demand: LimitDemand, at now: MonotonicInstant, for client: any SharedStateUser,
        number: UInt64
    ) -> Admission {
        guard link.isReady else { return admitByShare(demand, at: now) }
        let limits = demand.limiters.map { ($0, demand.tokens(at: $0)) }
        var arguments = [me, Array("\(RedisScripts.deadAfterMicroseconds)".utf8)]
        for (limiter, tokens) in limits {
            let numbers =
                RedisScripts.bucket(limiter.policy.requests)
                + RedisScripts.bucket(limiter.policy.tokens)
                + [Int64(limiter.policy.concurrency ?? -1), Int64(clamping: min(tokens, 1 << 50))]
            arguments += numbers.map { Array("\($0)".utf8) }
            accounts[name(limiter), default: Account(limiter: limiter)].inFlight += 1
        }
        let isAsked = link.script(
            .admit, keys: [link.replicasKey] + limits.map { key($0.0) }, arguments
        ) { [self] reply in
            hasAnswered(reply, limits, client, number)
        }
        guard isAsked else {
            for (limiter, _) in limits { accounts[name(limiter)]?.inFlight -= 1 }
            return admitByShare(demand, at: now)
        }
        return .asked
    }

    private func hasAnswered(
        _ reply: RESPValue?, _ limits: [(Limiter, Int)], _ client: any SharedStateUser,
        _ number: UInt64
    ) {
        if let list = reply?.list, list.first?.integer == 1 {
            let hold = SharedHold(limits: limits.map { (limiter: $0.0, reserved: $0.1) })
            if !client.limitsHaveAnswered(.admitted(hold), number) { giveBack(hold) }
            return
        }
        for (limiter, _) in limits { accounts[name(limiter)]?.inFlight -= 1 }
        if let list = reply?.list, list.count == 4, let wait = list[3].integer,
            let kind = list[2].bytes.flatMap({
                LimitRefusal.Kind(rawValue: String(decoding: $0, as: UTF8.self))
            })
        {
            let refusal = LimitRefusal(
                kind: kind, retryAfter: wait < 0 ? nil : .microseconds(wait))
            _ = client.limitsHaveAnswered(.refused(refusal), number)
        } else {
            _ = client.limitsHaveAnswered(.unavailable, number)
        }
    }

    func admitByShare(_ demand: LimitDemand, at now: MonotonicInstant) -> Admission {
        let count = link.configuration.replicas ?? link.replicaCount
        var share = demand
        share.key = demand.key?.share(of: count, at: now)
        share.tenant = demand.tenant?.share(of: count, at: now)
        share.model = demand.model?.share(of: count, at: now)
        loop.metrics.sharedStateMissed += 1
        do throws(LimitRefusal) {
            let local = try LimitHolds(share, at: now)
            let limits = demand.limiters.map { (limiter: $0, reserved: 0) }
            for limiter in demand.limiters {
                accounts[name(limiter), default: Account(limiter: limiter)].requestsOwed += 1
            }
            return .admitted(
                RequestHolds(local: local, shared: SharedHold(limits: limits, isShare: true)))
        } catch { return .refused(error) }
    }

    func settle(
        _ holds: consuming RequestHolds, usedTokens: Int, at now: MonotonicInstant
    ) {
        holds.local?.settle(usedTokens: usedTokens, at: now)
        guard let shared = holds.shared else { return }
        if shared.isShare {
            for (limiter, _) in shared.limits {
                accounts[name(limiter), default: Account(limiter: limiter)].owe(tokens: usedTokens)
            }
            if link.isReady { chargeOwed() }
            return
        }
        adjust(
            shared.limits.map { ($0.limiter, 0, $0.reserved.subtractingSaturating(usedTokens)) },
            inFlight: -1)
    }

    /// What was admitted too late for anybody is given back whole.
    private func giveBack(_ hold: SharedHold) {
        adjust(hold.limits.map { ($0.limiter, 1, $0.reserved) }, inFlight: -1)
    }

    private func adjust(_ changes: [(Limiter, requests: Int, tokens: Int)], inFlight: Int) {
        var arguments = [me]
        for (limiter, requests, tokens) in changes {
            accounts[name(limiter)]?.inFlight += inFlight
            arguments += numbers(limiter, requests, tokens, inFlight: inFlight, set: -1)
        }
        let isAsked = link.script(.settle, keys: changes.map { key($0.0) }, arguments) { _ in }
        guard !isAsked else { return }
        // Redis is away: its count of what is in flight is set right when it is back, and the
        // rest is settled then.
        for (limiter, requests, tokens) in changes {
            accounts[name(limiter)]?.requestsOwed -= requests
            accounts[name(limiter)]?.owe(tokens: 0.subtractingSaturating(tokens))
        }
    }

    private func numbers(
        _ limiter: Limiter, _ requests: Int, _ tokens: Int, inFlight: Int, set: Int
    ) -> [[UInt8]] {
        let all =
            RedisScripts.bucket(limiter.policy.requests)
            + RedisScripts.bucket(limiter.policy.tokens)
            + [
                Int64(requests), Int64(clamping: max(min(tokens, 1 << 50), -1 << 50)),
                Int64(inFlight), Int64(set),
            ]
        return all.map { Array("\($0)".utf8) }
    }

    /// Redis is back: what is owed is charged, and what is in flight is said.
    private func catchUp() {
        for (name, account) in accounts { settle(name, account, setsInFlight: true) }
        for batch in charges.sendAgain() { send(batch) }
    }

    private func chargeOwed() {
        for (name, account) in accounts
        where account.requestsOwed != 0 || account.tokensOwed != 0 {
            settle(name, account, setsInFlight: false)
        }
    }

    private func settle(_ name: String, _ account: Account, setsInFlight: Bool) {
        let arguments = numbers(
            account.limiter, -account.requestsOwed, 0.subtractingSaturating(account.tokensOwed),
            inFlight: 0,
            set: setsInFlight ? account.inFlight : -1)
        guard link.script(.settle, keys: [key(account.limiter)], [me] + arguments, { _ in })
        else { return }
        accounts[name]?.requestsOwed = 0
        accounts[name]?.forgetTokens()
        if account.inFlight == 0 { accounts[name] = nil }
    }

    /// A changed limit is another one.
    private func name(_ limiter: Limiter) -> String { limiter.sharedName }

    private func key(_ limiter: Limiter) -> [UInt8] {
        Array("\(link.configuration.prefix):{state}:limit:\(limiter.sharedName)".utf8)
    }

    // MARK: Answers

    private func key(_ key: CacheKey) -> [UInt8] {
        Array("\(link.configuration.prefix):cache:\(Digest.sha256(key.bytes).hexadecimal)".utf8)
    }

    func find(_ key: CacheKey, for client: any SharedStateUser, number: UInt64) -> Bool {
        link.command([Array("GET".utf8), self.key(key)]) { reply in
            guard let bytes = reply?.bytes,
                let (answer, made) = CachedAnswer.decode(bytes, for: key)
            else { return client.sharedCacheHasAnswered(nil, age: .zero, number) }
            let age = max(RedisState.epochMilliseconds() - made, 0)
            client.sharedCacheHasAnswered(answer, age: .milliseconds(age), number)
        }
    }

    func keep(_ key: CacheKey, _ answer: CachedAnswer, for time: Duration) {
        let milliseconds = max(time.nanosecondsSaturating / 1_000_000, 1)
        _ = link.command([
            Array("SET".utf8), self.key(key),
            answer.encoded(key, made: RedisState.epochMilliseconds()), Array("PX".utf8),
            Array("\(milliseconds)".utf8),
        ]) { _ in }
    }

    private static func epochMilliseconds() -> Int64 {
        var real = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &real)
        return Int64(real.tv_sec) * 1_000 + Int64(real.tv_nsec) / 1_000_000
    }
}
