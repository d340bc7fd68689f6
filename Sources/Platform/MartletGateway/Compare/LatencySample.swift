// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Quantiles of durations, from a bounded sample of them: the last 4 096.
package struct LatencySample: Sendable {
    static let countMax = 4_096
    private(set) var milliseconds: [Double] = []
    private var next = 0

    package init() {}

    /// The last of what was kept.
    init(milliseconds: [Double]) {
        self.milliseconds = milliseconds.suffix(LatencySample.countMax)
    }

    package mutating func add(_ duration: Duration) {
        let value = duration / .milliseconds(1)
        if milliseconds.count < LatencySample.countMax {
            milliseconds.append(value)
        } else {
            milliseconds[next] = value
            next = (next + 1) % LatencySample.countMax
        }
    }

    /// Milliseconds; nil when there are none. O(n log n).
    package func quantile(_ share: Double) -> Double? {
        guard !milliseconds.isEmpty else { return nil }
        let sorted = milliseconds.sorted()
        return sorted[min(Int(Double(sorted.count) * share), sorted.count - 1)]
    }
}
