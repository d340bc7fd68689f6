// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels

/// Whole rows of numbers, in the processor's vectors and on the caller's thread.
package enum RowMath {
    /// Fills `result` with e^((x - shift) * scale) of each x: within 1e-6, relative; what is below
    /// e^-87 may be 0. Allocates when `result` has another count only.
    package static func exponentials(
        of row: Span<Float>, minus shift: Float, times scale: Float, into result: inout [Float]
    ) {
        let count = row.count
        if result.count != count { result = Array(repeating: 0, count: count) }
        unsafe row.withUnsafeBufferPointer { from in
            unsafe result.withUnsafeMutableBufferPointer { to in
                guard let source = from.baseAddress, let target = to.baseAddress else { return }
                for index in 0..<count {
                    unsafe target[index] = (source[index] - shift) * scale
                }
                unsafe martlet_unary_f32(MARTLET_EXP, target, target, Int64(count), 0, 0, 1)
            }
        }
    }
}
