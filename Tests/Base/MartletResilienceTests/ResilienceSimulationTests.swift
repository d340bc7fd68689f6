// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletResilience
internal import Testing

/// Seeded runs: whatever the schedule, the stated bounds hold.
@Suite("Resilience simulation")
struct ResilienceSimulationTests {
    private func step(_ random: inout SeededRandom, _ most: Int) -> Duration {
        .nanoseconds(Int.random(in: 0...max(most, 1), using: &random))
    }

    @Test("a token bucket never gives more than its burst and its rate, over any stretch")
    func bucketBound() {
        for seed in 0..<UInt64(2_000) {
            var random = SeededRandom(seed: seed)
            let rate = TokenBucket.Rate(
                Int.random(in: 1...1_000, using: &random),
                per: .milliseconds(Int.random(in: 1...2_000, using: &random)))
            let capacity = Int.random(in: 1...200, using: &random)
            var now = MonotonicInstant(nanoseconds: 0)
            var bucket = TokenBucket(rate: rate, capacity: capacity, at: now)
            var taken: [(at: MonotonicInstant, count: Int)] = []
            let pace = Int.random(in: 1...20_000_000, using: &random)
            for _ in 0..<150 {
                now = now.advanced(by: step(&random, pace))
                let count = Int.random(in: 0...capacity, using: &random)
                if bucket.take(count, at: now) == .taken { taken.append((now, count)) }
            }
            for first in taken.indices {
                var sum: Int128 = 0
                for last in first..<taken.count {
                    sum += Int128(taken[last].count)
                    let elapsed = Int128(
                        taken[first].at.duration(to: taken[last].at)
                            .nanosecondsSaturating)
                    let interval = Int128(rate.interval.nanosecondsSaturating)
                    guard
                        sum * interval <= Int128(capacity) * interval + elapsed
                            * Int128(rate.tokens)
                    else {
                        Issue.record("seed \(seed): \(sum) tokens in \(elapsed) ns")
                        return
                    }
                }
            }
        }
    }

    @Test("a sliding window never admits more than its limit in any stretch of its length")
    func windowBound() {
        for seed in 0..<UInt64(2_000) {
            var random = SeededRandom(seed: seed)
            let limit = Int.random(in: 1...40, using: &random)
            let window = Duration.nanoseconds(Int.random(in: 1...1_000_000, using: &random))
            var limiter = SlidingWindowLimiter(
                limit: limit, window: window,
                buckets: Int.random(in: 1...20, using: &random))
            var now = MonotonicInstant(
                nanoseconds: Int64.random(in: -1_000_000...1_000_000, using: &random))
            var admitted: [MonotonicInstant] = []
            for _ in 0..<400 {
                now = now.advanced(by: step(&random, 60_000))
                guard limiter.admit(at: now) == .admitted else { continue }
                admitted.append(now)
                guard admitted.count > limit else { continue }
                let before = admitted[admitted.count - 1 - limit]
                guard before.duration(to: now) >= window else {
                    Issue.record("seed \(seed): \(limit + 1) within \(before.duration(to: now))")
                    return
                }
            }
            #expect(!admitted.isEmpty)
        }
    }

    @Test("retries stay within their share of the traffic and the reserve")
    func retryBound() {
        for seed in 0..<UInt64(2_000) {
            var random = SeededRandom(seed: seed)
            var policy = RetryBudget.Policy()
            policy.share = Double.random(in: 0...0.5, using: &random)
            policy.leastPerSecond = Double.random(in: 0...3, using: &random)
            policy.window = .seconds(Int.random(in: 1...10, using: &random))
            var budget = RetryBudget(policy: policy)
            var now = MonotonicInstant(nanoseconds: 0)
            var requests = 0
            var retries = 0
            for _ in 0..<1_000 {
                now = now.advanced(by: step(&random, 100_000_000))
                // A storm: everything that arrives wants three retries.
                if Int.random(in: 0..<3, using: &random) > 0 {
                    requests += 1
                    budget.recordRequest(at: now)
                }
                for _ in 0..<3 where budget.takeRetry(at: now) { retries += 1 }
            }
            let windows =
                (Double(now.nanoseconds) / Double(policy.window.nanosecondsSaturating))
                .rounded(.up) + 1
            let bound = policy.share * Double(requests) + policy.reserve * windows
            guard Double(retries) <= bound + 1e-6 else {
                Issue.record("seed \(seed): \(retries) retries, at most \(bound)")
                return
            }
        }
    }

    @Test("reserved and settled tokens stay within burst, rate and the stated overrun")
    func reservationBound() {
        var sawOverrun = false
        for seed in 0..<UInt64(2_000) {
            var simulation = ReservationSimulation(seed: seed)
            if let fault = simulation.run() {
                Issue.record("seed \(seed): \(fault)")
                return
            }
            sawOverrun = sawOverrun || simulation.worstOverrun > 0
        }
        #expect(sawOverrun)
    }

    @Test("a bulkhead never holds more than its places, serves in order, and loses nobody")
    func bulkheadBound() {
        for seed in 0..<UInt64(3_000) {
            var simulation = BulkheadSimulation(seed: seed)
            if let fault = simulation.run() {
                Issue.record("seed \(seed): \(fault)")
                return
            }
        }
    }

    @Test("an open breaker lets nothing through, and recovers when its upstream does")
    func breakerBound() {
        for seed in 0..<UInt64(2_000) {
            var random = SeededRandom(seed: seed)
            var policy = CircuitBreaker.Policy()
            policy.callsMin = Int.random(in: 1...30, using: &random)
            policy.probes = Int.random(in: 1...4, using: &random)
            var breaker = CircuitBreaker(policy: policy)
            var now = MonotonicInstant(nanoseconds: 0)
            let outageStart = now.advanced(by: .seconds(10))
            let outageEnd = now.advanced(by: .seconds(70))
            let end = now.advanced(by: .seconds(200))
            var out: [(pass: CircuitBreaker.Pass, ends: MonotonicInstant, fails: Bool)] = []
            var askedDuringOutage = 0
            while now < end {
                now = now.advanced(by: step(&random, 100_000_000))
                for call in out where call.ends <= now {
                    breaker.record(
                        call.pass, call.fails ? .failure : .success, took: .milliseconds(1),
                        at: now)
                }
                out.removeAll { $0.ends <= now }
                let isOpen: Bool =
                    if case .open(let until) = breaker.phase { now < until } else { false }
                guard case .admitted(let pass) = breaker.admit(at: now) else { continue }
                guard !isOpen else {
                    Issue.record("seed \(seed): a call while open")
                    return
                }
                let isOut = now >= outageStart && now < outageEnd
                askedDuringOutage += isOut ? 1 : 0
                out.append((pass, now.advanced(by: step(&random, 50_000_000)), isOut))
            }
            // About 1 200 calls want through; nearly none may.
            guard askedDuringOutage < 200, breaker.phase == .closed else {
                Issue.record("seed \(seed): \(askedDuringOutage) asked, \(breaker.phase)")
                return
            }
        }
    }
}

/// Requests that estimate badly, overlap, stream and crash, against one token limit.
struct ReservationSimulation {
    private var random: SeededRandom
    private let seed: UInt64
    private(set) var worstOverrun = 0

    init(seed: UInt64) {
        self.seed = seed
        random = SeededRandom(seed: seed)
    }

    mutating func run() -> String? {
        let rate = TokenBucket.Rate(Int.random(in: 0...2_000, using: &random), per: .seconds(1))
        let capacity = Int.random(in: 100...2_000, using: &random)
        let overrunMax = seed % 2 == 0 ? 0 : Int.random(in: 1...300, using: &random)
        let places = Int.random(in: 1...8, using: &random)
        var now = MonotonicInstant(nanoseconds: 0)
        var limit = TokenReservations(rate: rate, capacity: capacity, at: now)
        let slots = (0..<places).map { _ in ReservationSlot() }
        var settled = 0
        for _ in 0..<300 {
            now = now.advanced(by: .microseconds(Int.random(in: 0...20_000, using: &random)))
            let slot = slots[Int.random(in: 0..<places, using: &random)]
            if slot.held > 0 {
                if Int.random(in: 0..<4, using: &random) == 0 {
                    slot.extend(by: 50, in: &limit, at: now)
                } else {
                    let used = Int.random(in: 0...(slot.held + overrunMax), using: &random)
                    worstOverrun = max(worstOverrun, used - slot.held)
                    settled += used
                    slot.settle(used: used, in: &limit, at: now)
                }
            } else {
                slot.reserve(Int.random(in: 1...400, using: &random), in: &limit, at: now)
            }
            let held = slots.reduce(0) { $0 + $1.held }
            let bound =
                Int128(capacity) * 1_000_000_000
                + Int128(rate.tokens) * Int128(now.nanoseconds)
                + Int128(places * overrunMax) * 1_000_000_000
            if Int128(settled + held) * 1_000_000_000 > bound {
                return "\(settled) settled and \(held) held pass the bound at \(now.nanoseconds)"
            }
        }
        return nil
    }
}

/// A request's place, with the reservation that it holds.
private final class ReservationSlot {
    private var reservation: TokenReservations.Reservation?
    private(set) var held = 0

    func reserve(_ tokens: Int, in limit: inout TokenReservations, at now: MonotonicInstant) {
        do {
            reservation = try limit.reserve(tokens, at: now)
            held = tokens
        } catch {}
    }

    func extend(by tokens: Int, in limit: inout TokenReservations, at now: MonotonicInstant) {
        guard var open = reservation.take() else { return }
        do {
            try limit.extend(&open, by: tokens, at: now)
            held += tokens
        } catch {}
        reservation = consume open
    }

    func settle(used: Int, in limit: inout TokenReservations, at now: MonotonicInstant) {
        guard let open = reservation.take() else { return }
        limit.settle(open, used: used, at: now)
        held = 0
    }
}

/// Arrivals, releases, cancellations and time against one bulkhead, with a model beside it.
struct BulkheadSimulation {
    private var random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func run() -> String? {
        var policy = Bulkhead.Policy()
        policy.concurrencyMax = Int.random(in: 1...4, using: &random)
        policy.waitingMax = Int.random(in: 0...6, using: &random)
        policy.waitMax = .milliseconds(Int.random(in: 1...20, using: &random))
        var bulkhead = Bulkhead(policy: policy)
        var now = MonotonicInstant(nanoseconds: 0)
        var running = 0
        var waiting: [(ticket: Bulkhead.Ticket, until: MonotonicInstant)] = []
        for _ in 0..<200 {
            now = now.advanced(by: .microseconds(Int.random(in: 0...4_000, using: &random)))
            var expired: [Bulkhead.Ticket] = []
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1, 2:
                switch bulkhead.acquire(at: now) {
                case .granted:
                    if !waiting.isEmpty { return "someone jumped the queue" }
                    running += 1
                case .waiting(let ticket, let until): waiting.append((ticket, until))
                case .refused:
                    if waiting.count < policy.waitingMax { return "refused with room to wait" }
                }
            case 3 where running > 0:
                bulkhead.release()
                running -= 1
                while let ticket = bulkhead.next(at: now, expired: &expired) {
                    guard let place = waiting.firstIndex(where: { $0.until > now }),
                        waiting[place].ticket == ticket
                    else { return "granted out of order, or too late" }
                    waiting.remove(at: place)
                    running += 1
                }
            case 4 where !waiting.isEmpty:
                let place = Int.random(in: 0..<waiting.count, using: &random)
                if !bulkhead.cancel(waiting[place].ticket) { return "a waiter is not known" }
                waiting.remove(at: place)
            default: bulkhead.expire(at: now, into: &expired)
            }
            for ticket in expired {
                guard let place = waiting.firstIndex(where: { $0.ticket == ticket }),
                    waiting[place].until <= now
                else { return "expired before its time, or twice" }
                waiting.remove(at: place)
            }
            if running > policy.concurrencyMax || bulkhead.inUse != running {
                return "\(bulkhead.inUse) places in use, \(running) held"
            }
            if bulkhead.waitingCount != waiting.count {
                return "\(bulkhead.waitingCount) wait, \(waiting.count) should"
            }
        }
        return nil
    }
}
