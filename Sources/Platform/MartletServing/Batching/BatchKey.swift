// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What requests must share to run in one batch: the dimensions that vary, batch excluded.
///
/// Compared exactly, never as a hash: a collision would mix rows of different shapes.
package struct BatchKey: Equatable, Sendable {
    /// The most varying dimensions that a key can hold.
    package static let dimensionCountMax = 6

    private var dimensions: InlineArray<6, Int32>
    private var count: Int32

    /// The key of requests whose inputs have no varying dimension.
    package init() {
        dimensions = InlineArray(repeating: 0)
        count = 0
    }

    /// The key of a request that shares a batch with no other.
    package static var alone: BatchKey {
        var key = BatchKey()
        key.count = -1
        return key
    }

    package var isAlone: Bool { count < 0 }

    /// Adds a dimension; when there is no room the key becomes `alone`.
    package mutating func append(_ dimension: Int) {
        guard count >= 0 else { return }
        guard count < BatchKey.dimensionCountMax, let dimension = Int32(exactly: dimension) else {
            count = -1
            return
        }
        dimensions[Int(count)] = dimension
        count += 1
    }

    package static func == (left: BatchKey, right: BatchKey) -> Bool {
        guard left.count == right.count, left.count >= 0 else { return false }
        if left.count == 0 { return true }
        for index in 0..<Int(left.count) where left.dimensions[index] != right.dimensions[index] {
            return false
        }
        return true
    }
}
