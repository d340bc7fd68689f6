// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// Finds how many requests an upstream can take at once, from its answer times alone.
///
/// From time to time the limit drops to a few so that the answer time without a queue can be seen.
/// In between, each window's mean answer time is compared with it: the limit is multiplied by
/// (unloaded time + tolerance) / mean time, kept within ½ and 2, and √limit is added as room to
/// grow. Drops (refusals, time-outs) take a tenth off, at most once per window.
///
/// Source: Envoy's gradient controller (adaptive concurrency filter), after Netflix's
/// concurrency-limits; the drop rule is AIMD (Chiu and Jain, 1989). Made for work of like size:
/// answer times of language models vary by their length; there, limit what is queued instead.
///
/// A value; O(1), no allocation.
package struct AdaptiveConcurrency: Sendable {
    package struct Policy: Sendable, Hashable {
        package var limitMin = 3
        package var limitMax = 1_000
        package var limitStart = 20
        package var window: Duration = .milliseconds(100)
        /// Samples that a window or a measurement needs.
        package var samplesMin = 10
        package var measuringEvery: Duration = .seconds(60)
        package var measuringSamples = 50
        /// By how much the answer time may grow over the unloaded one, as a share.
        package var tolerance = 0.25

        package init() {}
    }

    package let policy: Policy
    package private(set) var inFlight = 0
    /// The answer time without load, once measured.
    package private(set) var unloaded: Duration?
    private var limitExact: Double
    private var isMeasuring = true
    private var nextMeasuring = MonotonicInstant(nanoseconds: .max)
    private var windowEnd = MonotonicInstant(nanoseconds: .min)
    private var sum = 0.0
    private var samples = 0
    private var hasDropped = false
    private var peakInFlight = 0
    /// Calls admitted before the measurement began say nothing about the unloaded time.
    private var generation: UInt64 = 0

    package struct Pass: Sendable, Hashable {
        fileprivate let generation: UInt64
    }

    package init(policy: Policy = Policy()) {
        self.policy = policy
        limitExact = Double(min(max(policy.limitStart, policy.limitMin), policy.limitMax))
    }

    /// How many may be in flight now.
    package var limit: Int { isMeasuring ? policy.limitMin : Int(limitExact) }

    /// Asks for leave; nil at the limit.
    package mutating func admit(at now: MonotonicInstant) -> Pass? {
        if !isMeasuring, now >= nextMeasuring { beginMeasuring() }
        guard inFlight < limit else { return nil }
        inFlight += 1
        peakInFlight = max(peakInFlight, inFlight)
        return Pass(generation: generation)
    }

    /// Reports an admitted call's end; `isDrop` when it was refused or ran out of time.
    package mutating func finish(
        _ pass: Pass, took duration: Duration, isDrop: Bool, at now: MonotonicInstant
    ) {
        inFlight -= 1
        if isDrop {
            drop(at: now)
            return
        }
        if isMeasuring {
            guard pass.generation == generation else { return }
            record(duration)
            if samples >= policy.measuringSamples { endMeasuring(at: now) }
            return
        }
        record(duration)
        if now >= windowEnd, samples >= policy.samplesMin { endWindow(at: now) }
    }

    /// The same for whoever takes its place: calls that are out are not its own.
    package func withoutCalls() -> AdaptiveConcurrency {
        var copy = self
        copy.inFlight = 0
        copy.peakInFlight = 0
        return copy
    }

    /// An admitted call ended in a way that says nothing of how busy the upstream is.
    package mutating func withdraw(_ pass: Pass) { inFlight -= 1 }

    private mutating func record(_ duration: Duration) {
        sum += Double(duration.nanosecondsSaturating)
        samples += 1
    }

    private mutating func drop(at now: MonotonicInstant) {
        guard !isMeasuring, !hasDropped else { return }
        hasDropped = true
        set(limitExact * 0.9)
        if now >= windowEnd { beginWindow(at: now) }
    }

    private mutating func beginMeasuring() {
        isMeasuring = true
        generation += 1
        sum = 0
        samples = 0
    }

    private mutating func endMeasuring(at now: MonotonicInstant) {
        unloaded = .nanoseconds(Int64(sum / Double(samples)))
        isMeasuring = false
        nextMeasuring = now.advanced(by: policy.measuringEvery)
        beginWindow(at: now)
    }

    private mutating func beginWindow(at now: MonotonicInstant) {
        windowEnd = now.advanced(by: policy.window)
        sum = 0
        samples = 0
        hasDropped = false
        peakInFlight = inFlight
    }

    private mutating func endWindow(at now: MonotonicInstant) {
        guard let unloaded else { return }
        let mean = sum / Double(samples)
        let allowed = Double(unloaded.nanosecondsSaturating) * (1 + policy.tolerance)
        let gradient = min(max(allowed / max(mean, 1), 0.5), 2)
        let target = limitExact * gradient + limitExact.squareRoot()
        // An upstream that was never near its limit gives no reason to raise it.
        if target < limitExact || Double(peakInFlight) * 2 >= limitExact { set(target) }
        beginWindow(at: now)
    }

    private mutating func set(_ limit: Double) {
        limitExact = min(max(limit, Double(policy.limitMin)), Double(policy.limitMax))
    }
}
