// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A quantile of the baseline's last answer times: what counts as slow.
///
/// It only looks back, so a test that uses it as its threshold stays valid. Sorted anew after
/// every 64 answers; O(1) for the others.
package struct BaselineQuantile: Sendable, Hashable {
    static let windowCount = 512
    private static let leastCount = 64
    private static let renewEvery = 64

    private let quantile: Double
    private var window: [Int64] = []
    private var next = 0
    private var sinceRenewal = 0
    private var threshold: Int64?

    package init(_ quantile: Double) {
        self.quantile = min(max(quantile, 0.5), 0.999)
        window.reserveCapacity(BaselineQuantile.windowCount)
    }

    /// Nil until enough answers were seen.
    package var value: Duration? { threshold.map { .nanoseconds($0) } }

    package mutating func record(_ latency: Duration) {
        let nanoseconds =
            latency.components.seconds > 1_000_000_000
            ? Int64.max
            : latency.components.seconds * 1_000_000_000
                + latency.components.attoseconds / 1_000_000_000
        if window.count < BaselineQuantile.windowCount {
            window.append(nanoseconds)
        } else {
            window[next] = nanoseconds
            next = (next + 1) % BaselineQuantile.windowCount
        }
        sinceRenewal += 1
        guard window.count >= BaselineQuantile.leastCount,
            sinceRenewal >= BaselineQuantile.renewEvery
        else { return }
        sinceRenewal = 0
        let sorted = window.sorted()
        threshold = sorted[min(Int(Double(sorted.count) * quantile), sorted.count - 1)]
    }

    /// Goes on from a threshold that was kept; it is renewed as new answers come.
    mutating func restore(_ nanoseconds: Int64) { threshold = nanoseconds }
}
