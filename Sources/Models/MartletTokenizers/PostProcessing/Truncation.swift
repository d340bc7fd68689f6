// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// How a text that is too long is cut.
public struct Truncation: Sendable, Hashable {
    public enum Strategy: String, Sendable {
        /// Of two texts the longer loses tokens first.
        case longestFirst = "LongestFirst"
        case onlyFirst = "OnlyFirst"
        case onlySecond = "OnlySecond"
    }

    public enum Side: String, Sendable {
        case left = "Left"
        case right = "Right"
    }

    /// The most tokens, special ones included.
    public var lengthMax: Int
    public var strategy: Strategy
    /// The end from which tokens are cut.
    public var side: Side

    public init(lengthMax: Int, strategy: Strategy = .longestFirst, side: Side = .right) {
        self.lengthMax = lengthMax
        self.strategy = strategy
        self.side = side
    }

    /// Cuts two texts (the second may be empty) to `room` tokens together.
    /// - Returns: Whether anything was cut.
    func cut(_ first: inout [Int32], _ second: inout [Int32], room: Int) -> Bool {
        let room = max(room, 0)
        let total = first.count + second.count
        guard total > room else { return false }
        switch strategy {
        case .onlyFirst: cut(&first, to: max(0, room - second.count))
        case .onlySecond: cut(&second, to: max(0, room - first.count))
        case .longestFirst:
            let shorter = min(first.count, second.count)
            var longer = shorter > room ? shorter : max(shorter, room - shorter)
            var kept = shorter
            if kept + longer > room {
                kept = room / 2
                longer = kept + room % 2
            }
            if first.count > second.count {
                cut(&first, to: longer)
                cut(&second, to: kept)
            } else {
                cut(&first, to: kept)
                cut(&second, to: longer)
            }
        }
        return first.count + second.count < total
    }

    private func cut(_ ids: inout [Int32], to count: Int) {
        guard ids.count > count else { return }
        switch side {
        case .right: ids.removeLast(ids.count - count)
        case .left: ids.removeFirst(ids.count - count)
        }
    }
}

/// How the tokenizer's file would have batches padded; batching is the caller's.
public struct Padding: Sendable, Hashable {
    public var id: Int32
    public var typeID: UInt8
    public var side: Truncation.Side
    /// The length to pad to; nil is the longest of the batch.
    public var length: Int?
    public var multiple: Int?

    public init(
        id: Int32 = 0, typeID: UInt8 = 0, side: Truncation.Side = .right, length: Int? = nil,
        multiple: Int? = nil
    ) {
        self.id = id
        self.typeID = typeID
        self.side = side
        self.length = length
        self.multiple = multiple
    }
}
