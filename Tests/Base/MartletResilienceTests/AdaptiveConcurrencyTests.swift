// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletResilience
internal import Testing

@Suite("Adaptive concurrency")
struct AdaptiveConcurrencyTests {
    /// An upstream that works on `places` requests at once, `work` each, and queues the rest.
    private struct Upstream {
        var places: Int
        var work: Duration
        var busyUntil: [MonotonicInstant]

        init(places: Int, work: Duration) {
            self.places = places
            self.work = work
            busyUntil = Array(repeating: MonotonicInstant(nanoseconds: 0), count: places)
        }

        mutating func answer(at now: MonotonicInstant, jitter: Double) -> MonotonicInstant {
            var place = 0
            for index in busyUntil.indices where busyUntil[index] < busyUntil[place] {
                place = index
            }
            let start = max(now, busyUntil[place])
            busyUntil[place] = start.advanced(by: work * (1 + jitter))
            return busyUntil[place]
        }
    }

    @Test("under overload it finds the upstream's concurrency and keeps its queue short")
    func converges() {
        for seed in 0..<UInt64(16) {
            var random = SeededRandom(seed: seed)
            let places = Int.random(in: 8...64, using: &random)
            var upstream = Upstream(places: places, work: .milliseconds(5))
            var policy = AdaptiveConcurrency.Policy()
            policy.measuringEvery = .seconds(10)
            var control = AdaptiveConcurrency(policy: policy)
            var out:
                [(pass: AdaptiveConcurrency.Pass, sent: MonotonicInstant, ends: MonotonicInstant)] =
                    []
            var served = 0
            var total = Duration.zero
            var now = MonotonicInstant(nanoseconds: 0)
            for tick in 0..<60_000 {
                now = now.advanced(by: .microseconds(250))
                for call in out where call.ends <= now {
                    let took = call.sent.duration(to: call.ends)
                    control.finish(call.pass, took: took, isDrop: false, at: now)
                    if tick > 30_000 {
                        served += 1
                        total += took
                    }
                }
                out.removeAll { $0.ends <= now }
                // Four times what the upstream can do wants through.
                for _ in 0..<max(places / 5, 1) {
                    guard let pass = control.admit(at: now) else { break }
                    let jitter = Double.random(in: 0...0.2, using: &random)
                    out.append((pass, now, upstream.answer(at: now, jitter: jitter)))
                }
                guard control.inFlight <= max(control.limit, out.count),
                    out.count <= policy.limitMax
                else {
                    Issue.record("seed \(seed): \(control.inFlight) in flight")
                    return
                }
            }
            let capacity = 7.5 * Double(places) / 0.0055
            let mean = Double(total.nanosecondsSaturating) / Double(max(served, 1)) / 1e6
            guard Double(served) > 0.75 * capacity, mean < 12 else {
                Issue.record(
                    "seed \(seed), \(places) places: \(served) of \(Int(capacity)), mean \(mean) ms"
                )
                return
            }
        }
    }

    @Test("drops take a tenth off, once per window")
    func drops() {
        var policy = AdaptiveConcurrency.Policy()
        policy.measuringSamples = 1
        var control = AdaptiveConcurrency(policy: policy)
        let now = MonotonicInstant(nanoseconds: 0)
        let first = control.admit(at: now)
        if let first { control.finish(first, took: .milliseconds(1), isDrop: false, at: now) }
        #expect(control.limit == 20)
        for _ in 0..<5 {
            guard let pass = control.admit(at: now) else { continue }
            control.finish(pass, took: .milliseconds(1), isDrop: true, at: now)
        }
        #expect(control.limit == 18)
        #expect(control.inFlight == 0)
    }
}
