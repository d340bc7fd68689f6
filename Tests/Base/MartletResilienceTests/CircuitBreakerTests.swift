// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletResilience
internal import Testing

@Suite("Circuit breaker")
struct CircuitBreakerTests {
    private func instant(_ milliseconds: Int) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: Int64(milliseconds) * 1_000_000)
    }

    private func call(
        _ breaker: inout CircuitBreaker, _ outcome: CircuitBreaker.Outcome,
        took: Duration = .milliseconds(1), at milliseconds: Int
    ) -> Bool {
        guard case .admitted(let pass) = breaker.admit(at: instant(milliseconds)) else {
            return false
        }
        breaker.record(pass, outcome, took: took, at: instant(milliseconds))
        return true
    }

    @Test("it opens at half failures, probes after its time, and closes when the probes succeed")
    func cycle() {
        var breaker = CircuitBreaker()
        for index in 0..<19 {
            #expect(call(&breaker, index % 2 == 0 ? .failure : .success, at: index))
        }
        #expect(breaker.phase == .closed)
        #expect(call(&breaker, .failure, at: 20))
        #expect(breaker.phase == .open(until: instant(5_020)))
        #expect(breaker.admit(at: instant(21)) == .refused(retryAfter: .milliseconds(4_999)))
        #expect(!breaker.isReady(at: instant(21)))
        for _ in 0..<3 { #expect(call(&breaker, .success, at: 5_020)) }
        #expect(breaker.phase == .closed)
        #expect(breaker.openings == 0)
    }

    @Test("a failed probe opens it for twice the time, up to the maximum")
    func doubling() {
        var policy = CircuitBreaker.Policy()
        policy.callsMin = 1
        var breaker = CircuitBreaker(policy: policy)
        var now = 0
        var waits: [Int] = []
        for _ in 0..<6 {
            #expect(call(&breaker, .failure, at: now))
            guard case .open(let until) = breaker.phase else {
                Issue.record("not open at \(now)")
                return
            }
            waits.append(Int(until.nanoseconds / 1_000_000) - now)
            now += waits.last ?? 0
        }
        #expect(waits == [5_000, 10_000, 20_000, 40_000, 60_000, 60_000])
    }

    @Test("slow calls open it too, when asked; neutral ones count for nothing")
    func slowCalls() {
        var policy = CircuitBreaker.Policy()
        policy.slowCall = .milliseconds(100)
        var breaker = CircuitBreaker(policy: policy)
        for index in 0..<100 { #expect(call(&breaker, .neutral, at: index)) }
        for index in 0..<19 {
            #expect(call(&breaker, .success, took: .milliseconds(100), at: index))
        }
        #expect(breaker.phase == .closed)
        #expect(call(&breaker, .success, took: .milliseconds(100), at: 20))
        #expect(breaker.phase != .closed)
    }

    @Test("half-open admits no more than its probes, and gives lost ones up in time")
    func probes() {
        var policy = CircuitBreaker.Policy()
        policy.callsMin = 1
        var breaker = CircuitBreaker(policy: policy)
        #expect(call(&breaker, .failure, at: 0))
        for _ in 0..<3 {
            guard case .admitted = breaker.admit(at: instant(5_000)) else {
                Issue.record("a probe is refused")
                return
            }
        }
        #expect(breaker.admit(at: instant(6_000)) == .refused(retryAfter: .seconds(29)))
        guard case .admitted = breaker.admit(at: instant(35_000)) else {
            Issue.record("lost probes block it for ever")
            return
        }
    }

    @Test("an answer that belongs to an earlier phase changes nothing")
    func lateAnswers() {
        var policy = CircuitBreaker.Policy()
        policy.callsMin = 2
        var breaker = CircuitBreaker(policy: policy)
        guard case .admitted(let late) = breaker.admit(at: instant(0)) else { return }
        for _ in 0..<2 { #expect(call(&breaker, .failure, at: 0)) }
        for _ in 0..<3 { #expect(call(&breaker, .success, at: 5_000)) }
        #expect(breaker.phase == .closed)
        breaker.record(late, .failure, took: .seconds(5), at: instant(5_001))
        #expect(call(&breaker, .failure, at: 5_002))
        #expect(breaker.phase == .closed)
    }

    @Test("failures outside the window are forgotten")
    func window() {
        var breaker = CircuitBreaker()
        for index in 0..<19 { #expect(call(&breaker, .failure, at: index)) }
        for index in 0..<19 { #expect(call(&breaker, .success, at: 11_000 + index)) }
        #expect(call(&breaker, .failure, at: 11_050))
        #expect(breaker.phase == .closed)
    }
}
