// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The dimensions of an array of arrays, outermost first, held inline.
public struct JSONArrayShape: Sendable {
    public static let rankMax = 16

    private var dimensions = InlineArray<16, Int>(repeating: -1)
    /// How many levels of brackets there were; 0 for a lone scalar.
    public internal(set) var rank = 0
    /// Elements at the leaves.
    public internal(set) var count = 0

    public init() {}

    public subscript(axis: Int) -> Int {
        precondition(axis >= 0 && axis < rank, "axis out of range")
        return dimensions[axis]
    }

    /// Notes that an array at `level` has ended with `count` elements; false when another at the
    /// same level had a different number.
    mutating func close(level: Int, count: Int) -> Bool {
        if dimensions[level] < 0 { dimensions[level] = count }
        return dimensions[level] == count
    }
}
