// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// How often something may happen: a count in each window of time.
struct RateBound: Sendable {
    let countMax: Int
    let window: Duration
    private var start = MonotonicInstant(nanoseconds: .min)
    private var count = 0

    init(countMax: Int, window: Duration) {
        self.countMax = countMax
        self.window = window
    }

    /// Counts one; false when that is one too many.
    mutating func admit(_ now: MonotonicInstant) -> Bool {
        if now >= start.advanced(by: window) || count == 0 {
            start = now
            count = 0
        }
        count += 1
        return count <= countMax
    }
}
