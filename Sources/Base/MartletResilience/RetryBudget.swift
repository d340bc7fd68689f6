// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// Lets retries be at most a share of the traffic, so that they never make an outage worse.
///
/// Over every window, retries ≤ share × requests + least per second × window; over a whole run of
/// time `t`, retries ≤ share × requests + least per second × window × (⌈t / window⌉ + 1). After
/// Finagle's `RetryBudget`. A value; nothing is allocated after `init`.
package struct RetryBudget: Sendable {
    package struct Policy: Sendable, Hashable {
        /// Retries allowed per request.
        package var share = 0.2
        /// Retries per second that are allowed however little traffic there is.
        package var leastPerSecond = 10.0
        package var window: Duration = .seconds(10)

        package init() {}

        /// The retries that a window allows without any traffic.
        package var reserve: Double {
            leastPerSecond * Double(window.nanosecondsSaturating) / 1e9
        }
    }

    private enum Lane { static let requests = 0, retries = 1, count = 2 }

    package let policy: Policy
    private var counts: SlidingCounts

    package init(policy: Policy = Policy()) {
        self.policy = policy
        counts = SlidingCounts(window: policy.window, lanes: Lane.count)
    }

    /// Counts a first attempt.
    package mutating func recordRequest(at now: MonotonicInstant) {
        counts.add(Lane.requests, at: now)
    }

    /// Takes leave for one retry; false when the budget is spent.
    package mutating func takeRetry(at now: MonotonicInstant) -> Bool {
        counts.advance(to: now)
        let allowed = policy.share * Double(counts.sum(Lane.requests)) + policy.reserve
        guard Double(counts.sum(Lane.retries) + 1) <= allowed else { return false }
        counts.add(Lane.retries, at: now)
        return true
    }
}

/// How long to wait before a retry: exponential with full jitter, and never less than the upstream
/// asked for.
///
/// Source: Brooker, Exponential Backoff And Jitter (AWS Architecture Blog, 2015).
package struct RetryDelay: Sendable, Hashable {
    package var first: Duration = .milliseconds(25)
    package var longest: Duration = .seconds(2)
    /// An upstream that asks for a longer wait than this is not retried.
    package var retryAfterMax: Duration = .seconds(10)

    package init() {}

    /// The wait before retry `number` (from 1); nil when the upstream asks for too long a wait.
    package func wait(
        number: Int, retryAfter: Duration? = nil, using random: inout some RandomNumberGenerator
    ) -> Duration? {
        let doublings = min(max(number - 1, 0), 30)
        let ceiling = min(first * (1 << doublings), longest).nanosecondsSaturating
        let jittered = Duration.nanoseconds(Int64.random(in: 0...max(ceiling, 0), using: &random))
        guard let retryAfter else { return jittered }
        return retryAfter <= retryAfterMax ? retryAfter + jittered : nil
    }
}
