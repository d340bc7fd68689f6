// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// At most so many in any stretch of a given length.
///
/// Never more than `limit` in any stretch of `window`, wherever it starts: the buckets that count
/// cover at least the window. The price is that a steady stream gets at least
/// `limit · buckets / (buckets + 1)` of it. A value; O(1), nothing is allocated after `init`.
package struct SlidingWindowLimiter: Sendable {
    package let limit: Int
    private var counts: SlidingCounts

    package init(limit: Int, window: Duration, buckets: Int = 16) {
        self.limit = max(limit, 0)
        let buckets = max(buckets, 1)
        // Rounded up to whole buckets, so that those that count never cover less than the window.
        let nanoseconds = max(window.nanosecondsSaturating, 1)
        let bucket = nanoseconds / Int64(buckets) + (nanoseconds % Int64(buckets) == 0 ? 0 : 1)
        let (covered, overflow) = bucket.multipliedReportingOverflow(by: Int64(buckets + 1))
        counts = SlidingCounts(
            window: .nanoseconds(overflow ? .max : covered), buckets: buckets + 1, lanes: 1)
    }

    package enum Answer: Sendable, Hashable {
        case admitted
        /// Some may leave the window by then.
        case refused(retryAfter: Duration)
    }

    package mutating func admit(at now: MonotonicInstant) -> Answer {
        counts.advance(to: now)
        guard counts.sum(0) < limit else {
            return .refused(
                retryAfter: max(now.duration(to: counts.oldestLeaves), .nanoseconds(1)))
        }
        counts.add(0, at: now)
        return .admitted
    }
}
