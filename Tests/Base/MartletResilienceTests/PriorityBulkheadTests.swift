// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletResilience
internal import Testing

@Suite("PriorityBulkhead")
struct PriorityBulkheadTests {
    private func instant(_ milliseconds: Int) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: Int64(milliseconds) * 1_000_000)
    }

    private func bulkhead(_ most: Int, waiting: Int) -> PriorityBulkhead {
        var policy = Bulkhead.Policy()
        policy.concurrencyMax = most
        policy.waitingMax = waiting
        policy.waitMax = .milliseconds(100)
        return PriorityBulkhead(policy: policy)
    }

    private func ticket(_ answer: PriorityBulkhead.Answer) -> PriorityBulkhead.Ticket? {
        if case .waiting(let ticket, _, _) = answer { return ticket }
        return nil
    }

    @Test("the most urgent goes first, and of equals whoever came first")
    func order() throws {
        var places = bulkhead(1, waiting: 4)
        #expect(places.acquire(.low, at: instant(0)) == .granted)
        let low = try #require(ticket(places.acquire(.low, at: instant(0))))
        let first = try #require(ticket(places.acquire(.high, at: instant(1))))
        let second = try #require(ticket(places.acquire(.high, at: instant(2))))
        #expect(places.next(at: instant(3)) == nil)
        for expected in [first, second, low] {
            places.release()
            #expect(places.next(at: instant(3)) == expected)
        }
        places.release()
        #expect(places.next(at: instant(3)) == nil && places.inUse == 0)
    }

    @Test("a full queue sheds the least urgent for the more urgent only")
    func sheds() throws {
        var places = bulkhead(1, waiting: 2)
        _ = places.acquire(.normal, at: instant(0))
        let old = try #require(ticket(places.acquire(.low, at: instant(0))))
        let new = try #require(ticket(places.acquire(.low, at: instant(1))))
        #expect(places.acquire(.low, at: instant(2)) == .refused)
        guard case .waiting(let urgent, _, let shed) = places.acquire(.normal, at: instant(2))
        else {
            Issue.record("the urgent one was refused")
            return
        }
        #expect(shed == new)
        #expect(places.cancel(new) == false)
        #expect(places.cancel(old) == true)
        places.release()
        #expect(places.next(at: instant(3)) == urgent)
    }

    @Test("whose wait is over gets no place and holds none up")
    func expires() throws {
        var places = bulkhead(1, waiting: 1)
        _ = places.acquire(.high, at: instant(0))
        _ = try #require(ticket(places.acquire(.high, at: instant(0))))
        let later = try #require(ticket(places.acquire(.low, at: instant(100))))
        places.release()
        #expect(places.next(at: instant(150)) == later)
        #expect(
            places.acquire(.high, at: instant(150), deadline: Deadline(instant: instant(150)))
                == .refused)
    }

    @Test("whatever comes, places and waiters stay within their bounds and none is lost")
    func simulation() {
        for seed in 0..<UInt64(500) {
            var random = SeededRandom(seed: seed)
            let most = Int.random(in: 1...5, using: &random)
            let queue = Int.random(in: 0...5, using: &random)
            var places = bulkhead(most, waiting: queue)
            var waiting: [PriorityBulkhead.Ticket: MonotonicInstant] = [:]
            var held = 0
            var now = instant(0)
            for _ in 0..<300 {
                now = now.advanced(by: .milliseconds(Int.random(in: 0...20, using: &random)))
                waiting = waiting.filter { $0.value > now }
                switch Int.random(in: 0..<5, using: &random) {
                case 0...2:
                    let priority = RequestPriority.allCases.randomElement(using: &random) ?? .low
                    switch places.acquire(priority, at: now) {
                    case .granted: held += 1
                    case .waiting(let ticket, let limit, let shed):
                        if let shed, waiting.removeValue(forKey: shed) == nil {
                            Issue.record("seed \(seed): somebody was shed who did not wait")
                            return
                        }
                        waiting[ticket] = limit
                    case .refused: break
                    }
                case 3 where held > 0:
                    places.release()
                    held -= 1
                default:
                    if let one = waiting.keys.randomElement(using: &random) {
                        waiting[one] = nil
                        guard places.cancel(one) == true else {
                            Issue.record("seed \(seed): a waiter was lost")
                            return
                        }
                    }
                }
                while let granted = places.next(at: now) {
                    held += 1
                    guard waiting.removeValue(forKey: granted) != nil else {
                        Issue.record("seed \(seed): a place for nobody")
                        return
                    }
                }
                guard held <= most, places.inUse == held, places.waitingCount <= queue,
                    waiting.isEmpty || held == most
                else {
                    Issue.record("seed \(seed): \(held) of \(most), \(waiting.count) wait")
                    return
                }
            }
        }
    }
}
