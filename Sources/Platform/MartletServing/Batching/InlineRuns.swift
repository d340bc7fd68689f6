// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// Knows which requests run so quickly that their caller may run them, instead of waking an
/// instance's thread and being woken by it.
///
/// Run times are kept apart by the size of the input, in powers of two: a moving average of the
/// runs that had one request, and of those that had several and were quick all the same. A size
/// begins as slow, becomes quick after some quick runs in a row with an average of at most half the
/// limit, and is slow again at once after one run of four times the limit or when the average
/// passes it. Each such fall doubles how many quick runs it takes to come back; long good conduct
/// halves it.
struct InlineRuns {
    private struct Size {
        var average: Int64 = 0
        var isQuick = false
        /// Quick runs since the last slow one.
        var streak: Int32 = 0
        var streakNeeded = InlineRuns.streakMin
    }

    private static let streakMin: Int32 = 4
    private static let streakMax: Int32 = 4096

    private let limit: Int64
    private let inputBytesMax: Int
    private var sizes: [Size]

    init(_ policy: BatchingPolicy) {
        limit = policy.inlineRunLimit.nanosecondsSaturating
        inputBytesMax = policy.inlineInputBytesMax
        let count = limit > 0 && inputBytesMax >= 0 ? InlineRuns.size(inputBytesMax) + 1 : 0
        sizes = Array(repeating: Size(), count: count)
    }

    private static func size(_ byteCount: Int) -> Int {
        Int.bitWidth - max(0, byteCount).leadingZeroBitCount
    }

    func allows(inputBytes: Int) -> Bool {
        inputBytes <= inputBytesMax && !sizes.isEmpty && sizes[InlineRuns.size(inputBytes)].isQuick
    }

    /// A run took so long.
    /// - Parameters:
    ///   - inputBytes: of one request in it.
    ///   - isJoined: it had others too, so that this one alone takes less.
    mutating func ran(inputBytes: Int, nanoseconds: Int64, isJoined: Bool = false) {
        guard inputBytes <= inputBytesMax, !sizes.isEmpty, !isJoined || nanoseconds <= limit / 2
        else { return }
        let index = InlineRuns.size(inputBytes)
        var size = sizes[index]
        // Bounded, so that one stall is soon forgotten.
        let taken = min(nanoseconds, 4 * limit)
        size.average = size.average == 0 ? taken : size.average + (taken - size.average) / 4
        if taken >= 4 * limit || size.average > limit {
            if size.isQuick {
                size.streakNeeded = min(size.streakNeeded * 2, InlineRuns.streakMax)
            }
            size.isQuick = false
            size.streak = 0
        } else {
            size.streak += 1
            if !size.isQuick {
                size.isQuick = size.streak >= size.streakNeeded && size.average <= limit / 2
                if size.isQuick { size.streak = 0 }
            } else if size.streak >= 4 * size.streakNeeded {
                size.streakNeeded = max(InlineRuns.streakMin, size.streakNeeded / 2)
                size.streak = 0
            }
        }
        sizes[index] = size
    }
}
