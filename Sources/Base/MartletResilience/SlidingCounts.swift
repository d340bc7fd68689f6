// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// Counts of a few kinds of event over the last stretch of time, in a ring of equal buckets.
///
/// With `n` buckets over a window `w` the counts cover the running bucket and the `n - 1` before
/// it: at most `w` and at least `w · (n - 1) / n`. Memory is taken at creation; every call is O(1)
/// for time that moves bucket by bucket, O(buckets) after a silence. Time that runs backwards
/// counts into the newest bucket.
package struct SlidingCounts: Sendable {
    private let bucketNanoseconds: Int64
    private let bucketCount: Int
    private let laneCount: Int
    private var cells: [Int]
    private var sums: [Int]
    private var newest: Int64 = 0
    private var isEmpty = true

    /// `lanes` kinds of event; at least one bucket of at least a nanosecond.
    package init(window: Duration, buckets: Int = 10, lanes: Int) {
        bucketCount = max(buckets, 1)
        laneCount = max(lanes, 1)
        bucketNanoseconds = max(window.nanosecondsSaturating / Int64(bucketCount), 1)
        cells = Array(repeating: 0, count: bucketCount * laneCount)
        sums = Array(repeating: 0, count: laneCount)
    }

    /// Forgets what has left the window.
    package mutating func advance(to now: MonotonicInstant) {
        let number = bucketNumber(now)
        if isEmpty {
            isEmpty = false
            newest = number
            return
        }
        guard number > newest else { return }
        let (steps, overflow) = number.subtractingReportingOverflow(newest)
        if overflow || steps >= Int64(bucketCount) {
            clear()
        } else {
            for step in 1...steps { emptyBucket(newest + step) }
        }
        isEmpty = false
        newest = number
    }

    package mutating func add(_ lane: Int, at now: MonotonicInstant, count: Int = 1) {
        advance(to: now)
        cells[place(newest) + lane] += count
        sums[lane] += count
    }

    /// The count as of the last call that told the time.
    package func sum(_ lane: Int) -> Int { sums[lane] }

    package mutating func clear() {
        for index in cells.indices { cells[index] = 0 }
        for lane in sums.indices { sums[lane] = 0 }
        isEmpty = true
    }

    /// When the oldest bucket that counts leaves the window.
    package var oldestLeaves: MonotonicInstant {
        let (end, overflow) = (newest + 1).multipliedReportingOverflow(by: bucketNanoseconds)
        return MonotonicInstant(nanoseconds: overflow ? .max : end)
    }

    private func bucketNumber(_ instant: MonotonicInstant) -> Int64 {
        let (quotient, rest) = instant.nanoseconds.quotientAndRemainder(
            dividingBy: bucketNanoseconds)
        return rest < 0 ? quotient - 1 : quotient
    }

    private func place(_ number: Int64) -> Int {
        let rest = Int(number % Int64(bucketCount))
        return (rest < 0 ? rest + bucketCount : rest) * laneCount
    }

    private mutating func emptyBucket(_ number: Int64) {
        let start = place(number)
        for lane in 0..<laneCount {
            sums[lane] -= cells[start + lane]
            cells[start + lane] = 0
        }
    }
}
