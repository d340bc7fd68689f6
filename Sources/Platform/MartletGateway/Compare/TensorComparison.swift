// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How far two tensors of one shape lie apart.
///
/// An element is within tolerance when |a − b| ≤ absolute + relative · |a|, `a` being the primary's
/// (numpy's `allclose`); equal infinities and two not-a-numbers agree. O(count).
package struct TensorComparison: Sendable, Hashable {
    package var count = 0
    /// Elements out of tolerance, and the first of them.
    package var outside = 0
    package var firstOutside: Int?
    package var absoluteMax = 0.0
    package var relativeMax = 0.0
    /// 1 for the same direction; nil when either is all zeros or not finite.
    package var cosine: Double?

    package var isWithin: Bool { outside == 0 }

    /// Nil when the counts differ: then nothing can be aligned.
    package init?<Scalar: BinaryFloatingPoint>(
        _ before: Span<Scalar>, _ after: Span<Scalar>, absolute: Double = 1e-6,
        relative: Double = 1e-5
    ) {
        guard before.count == after.count else { return nil }
        count = before.count
        var dot = 0.0
        var first = 0.0
        var second = 0.0
        for index in before.indices {
            let one = Double(before[index])
            let other = Double(after[index])
            dot += one * other
            first += one * one
            second += other * other
            if one == other || (one.isNaN && other.isNaN) { continue }
            let difference = abs(one - other)
            if difference.isFinite {
                absoluteMax = max(absoluteMax, difference)
                if one != 0 { relativeMax = max(relativeMax, difference / abs(one)) }
            }
            // Not-a-number fails every comparison, so it is asked the other way round.
            if !(difference <= absolute + relative * abs(one)) || !one.isFinite {
                outside += 1
                firstOutside = firstOutside ?? index
            }
        }
        let scale = (first * second).squareRoot()
        if scale > 0, scale.isFinite, dot.isFinite { cosine = min(max(dot / scale, -1), 1) }
    }
}
