// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A tensor's dimensions, outermost first, held inline: copying one allocates nothing.
public struct Shape: Hashable, Sendable, RandomAccessCollection, MutableCollection,
    ExpressibleByArrayLiteral, CustomStringConvertible
{
    /// The most dimensions a tensor may have.
    public static let rankMax = 10

    private var storage: InlineArray<10, Int>
    public private(set) var rank: Int

    /// The shape of a scalar.
    public init() {
        storage = InlineArray(repeating: 0)
        rank = 0
    }

    public init(repeating dimension: Int, rank: Int) {
        precondition(rank >= 0 && rank <= Shape.rankMax, "rank out of range")
        storage = InlineArray(repeating: 0)
        self.rank = rank
        for axis in 0..<rank { storage[axis] = dimension }
    }

    /// The shape with these dimensions; nil when there are more than `rankMax`.
    public init?(_ dimensions: some Sequence<Int>) {
        // Collected first: Swift 6.3.1's optimiser loses stores to an inline array that is being
        // initialised in a loop over a generic sequence.
        let collected = Array(dimensions)
        guard collected.count <= Shape.rankMax else { return nil }
        self.init(repeating: 0, rank: collected.count)
        for axis in collected.indices { self[axis] = collected[axis] }
    }

    public init(arrayLiteral dimensions: Int...) {
        precondition(dimensions.count <= Shape.rankMax, "rank out of range")
        self.init(repeating: 0, rank: dimensions.count)
        for (axis, dimension) in dimensions.enumerated() { storage[axis] = dimension }
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { rank }

    public subscript(axis: Int) -> Int {
        get {
            precondition(axis >= 0 && axis < rank, "axis out of range")
            return storage[axis]
        }
        set {
            precondition(axis >= 0 && axis < rank, "axis out of range")
            storage[axis] = newValue
        }
    }

    /// The number of elements; nil when a dimension is negative or the product overflows.
    public var elementCountChecked: Int? {
        var product = 1
        var isEmpty = false
        for axis in 0..<rank {
            let dimension = storage[axis]
            if dimension < 0 { return nil }
            if dimension == 0 {
                isEmpty = true
                continue
            }
            let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
            if overflow { return nil }
            product = next
        }
        return isEmpty ? 0 : product
    }

    /// Adds a dimension at the inner end; false when the shape is full.
    @discardableResult
    public mutating func append(_ dimension: Int) -> Bool {
        guard rank < Shape.rankMax else { return false }
        storage[rank] = dimension
        rank += 1
        return true
    }

    public static func == (left: Shape, right: Shape) -> Bool {
        guard left.rank == right.rank else { return false }
        for axis in 0..<left.rank where left.storage[axis] != right.storage[axis] { return false }
        return true
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(rank)
        for axis in 0..<rank { hasher.combine(storage[axis]) }
    }

    public var description: String { "[" + map(String.init).joined(separator: ", ") + "]" }
}
