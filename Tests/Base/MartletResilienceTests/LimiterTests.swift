// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletResilience
internal import Testing

@Suite("Limiters")
struct LimiterTests {
    private func instant(_ milliseconds: Int) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: Int64(milliseconds) * 1_000_000)
    }

    @Test("a bucket gives its burst, then its rate, and says how long to wait")
    func bucket() {
        var bucket = TokenBucket(rate: .init(10, per: .seconds(1)), capacity: 5, at: instant(0))
        for _ in 0..<5 { #expect(bucket.take(at: instant(0)) == .taken) }
        #expect(bucket.take(at: instant(0)) == .later(.milliseconds(100)))
        #expect(bucket.take(at: instant(99)) == .later(.milliseconds(1)))
        #expect(bucket.take(at: instant(100)) == .taken)
        #expect(bucket.take(6, at: instant(10_000)) == .never)
        #expect(bucket.take(5, at: instant(10_000)) == .taken)
    }

    @Test("a bucket keeps to rates below one a second, and to hostile sizes, without rounding")
    func extremes() {
        var slow = TokenBucket(rate: .init(1, per: .seconds(3)), capacity: 1, at: instant(0))
        #expect(slow.take(at: instant(0)) == .taken)
        #expect(slow.take(at: instant(2_999)) == .later(.milliseconds(1)))
        #expect(slow.take(at: instant(3_000)) == .taken)
        var huge = TokenBucket(
            rate: .init(.max, per: .seconds(Int64.max)), capacity: .max,
            at: MonotonicInstant(nanoseconds: .min))
        #expect(huge.take(.max, at: MonotonicInstant(nanoseconds: .max)) == .taken)
        huge.giveBack(.max, at: MonotonicInstant(nanoseconds: .max))
        huge.charge(.max, at: MonotonicInstant(nanoseconds: .min))
        var none = TokenBucket(rate: .init(-1, per: .zero), capacity: -1, at: instant(0))
        #expect(none.take(at: instant(1)) == .never)
    }

    @Test("settling gives back what was not used, and an excess is owed")
    func settling() throws {
        var limit = TokenReservations(
            rate: .init(100, per: .seconds(1)), capacity: 1_000, at: instant(0))
        let first = try limit.reserve(800, at: instant(0))
        #expect(throws: TokenReservations.Refusal.later(.seconds(6))) {
            _ = try limit.reserve(800, at: instant(0))
        }
        #expect(throws: TokenReservations.Refusal.never) {
            _ = try limit.reserve(1_001, at: instant(0))
        }
        limit.settle(first, used: 100, at: instant(0))
        #expect(limit.available(at: instant(0)) == 900)
        let second = try limit.reserve(900, at: instant(0))
        limit.settle(second, used: 1_500, at: instant(0))
        #expect(limit.available(at: instant(0)) == -600)
        #expect(throws: TokenReservations.Refusal.self) {
            _ = try limit.reserve(1, at: instant(6_000))
        }
        _ = try limit.reserve(1, at: instant(6_010))
    }

    @Test("a stream extends its reservation until it is refused, and keeps what it has")
    func extending() throws {
        var limit = TokenReservations(
            rate: .init(0, per: .seconds(1)), capacity: 100, at: instant(0))
        var stream = try limit.reserve(40, at: instant(0))
        try limit.extend(&stream, by: 40, at: instant(1))
        #expect(throws: TokenReservations.Refusal.never) {
            try limit.extend(&stream, by: 40, at: instant(2))
        }
        #expect(stream.tokens == 80)
        limit.settle(stream, used: 70, at: instant(3))
        #expect(limit.available(at: instant(3)) == 30)
    }

    @Test("a bulkhead serves in order, refuses what it cannot hold, and forgets the cancelled")
    func bulkhead() {
        var policy = Bulkhead.Policy()
        policy.concurrencyMax = 1
        policy.waitingMax = 3
        var bulkhead = Bulkhead(policy: policy)
        #expect(bulkhead.acquire(at: instant(0)) == .granted)
        var tickets: [Bulkhead.Ticket] = []
        for _ in 0..<3 {
            if case .waiting(let ticket, _) = bulkhead.acquire(at: instant(0)) {
                tickets.append(ticket)
            }
        }
        #expect(tickets.count == 3)
        #expect(bulkhead.acquire(at: instant(0)) == .refused)
        #expect(bulkhead.cancel(tickets[0]) == true)
        #expect(bulkhead.cancel(tickets[0]) == false)
        let short = Deadline(after: .milliseconds(10), from: instant(0))
        guard
            case .waiting(let hurried, let until) = bulkhead.acquire(
                at: instant(0), deadline: short)
        else {
            Issue.record("the cancelled one's place is not free")
            return
        }
        #expect(until == instant(10))
        #expect(bulkhead.nextExpiry == instant(10))
        var expired: [Bulkhead.Ticket] = []
        #expect(bulkhead.next(at: instant(1), expired: &expired) == nil)
        bulkhead.release()
        #expect(bulkhead.next(at: instant(20), expired: &expired) == tickets[1])
        bulkhead.release()
        #expect(bulkhead.next(at: instant(20), expired: &expired) == tickets[2])
        bulkhead.release()
        #expect(bulkhead.next(at: instant(20), expired: &expired) == nil)
        #expect(expired == [hurried])
        #expect(bulkhead.inUse == 0)
        #expect(bulkhead.waitingCount == 0)
    }

    @Test("a deadline shrinks from hop to hop and forbids a call without time")
    func deadlines() {
        let deadline = Deadline(after: .seconds(1), from: instant(0))
        #expect(deadline.remaining(at: instant(400)) == .milliseconds(600))
        #expect(deadline.remaining(at: instant(2_000)) == .zero)
        let next = deadline.forNextHop(margin: .milliseconds(50), at: instant(0))
        #expect(next?.instant == instant(950))
        let limited = deadline.forNextHop(
            margin: .zero, limit: .milliseconds(200), at: instant(0))
        #expect(limited?.instant == instant(200))
        #expect(deadline.forNextHop(margin: .milliseconds(50), at: instant(950)) == nil)
        #expect(Deadline.never.forNextHop(margin: .seconds(1), at: instant(0)) == .never)
        #expect(!deadline.allows(wait: .milliseconds(500), expected: .seconds(1), at: instant(0)))
        #expect(Deadline.never.remaining(at: instant(0)) == nil)
    }

    @Test("a retry waits at least as asked, and is not made when asked for too long")
    func retryDelay() {
        var random = SeededRandom(seed: 1)
        let delay = RetryDelay()
        for number in 1...40 {
            let wait = delay.wait(number: number, using: &random) ?? .seconds(-1)
            #expect(wait >= .zero && wait <= .seconds(2))
        }
        let asked = delay.wait(number: 1, retryAfter: .seconds(3), using: &random)
        #expect(asked.map { $0 >= .seconds(3) } == true)
        #expect(delay.wait(number: 1, retryAfter: .seconds(11), using: &random) == nil)
    }
}
