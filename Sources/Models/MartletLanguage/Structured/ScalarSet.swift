// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Characters of a class, as ranges of their numbers.
struct ScalarSet: Sendable {
    typealias Range = ClosedRange<UInt32>

    private static let last: UInt32 = 0x10FFFF
    private var ranges: [Range] = []
    var isNegated = false

    mutating func insert(_ scalar: Unicode.Scalar) { ranges.append(scalar.value...scalar.value) }

    mutating func insert(_ range: Range) { ranges.append(range) }

    mutating func formUnion(_ other: ScalarSet) { ranges += other.resolved }

    /// What the set holds: in order, apart from each other, without surrogates.
    var resolved: [Range] {
        var joined: [Range] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            guard let last = joined.last, range.lowerBound <= last.upperBound &+ 1 else {
                joined.append(range)
                continue
            }
            joined[joined.count - 1] =
                last.lowerBound...max(last.upperBound, range.upperBound)
        }
        if isNegated {
            var rest: [Range] = []
            var next: UInt32 = 0
            for range in joined {
                if range.lowerBound > next { rest.append(next...range.lowerBound - 1) }
                next = range.upperBound + 1
            }
            if next <= ScalarSet.last { rest.append(next...ScalarSet.last) }
            joined = rest
        }
        return ScalarSet.intersection(joined, [0...0xD7FF, 0xE000...ScalarSet.last])
    }

    /// Of ranges that are in order.
    static func intersection(_ left: [Range], _ right: [Range]) -> [Range] {
        var (result, place, other): ([Range], Int, Int) = ([], 0, 0)
        while place < left.count, other < right.count {
            let low = max(left[place].lowerBound, right[other].lowerBound)
            let high = min(left[place].upperBound, right[other].upperBound)
            if low <= high { result.append(low...high) }
            if left[place].upperBound < right[other].upperBound { place += 1 } else { other += 1 }
        }
        return result
    }

    static let all = [0...0xD7FF, 0xE000...last] as [Range]

    static let anyButLineEnd: ScalarSet = {
        var set = ScalarSet()
        set.insert("\n")
        set.isNegated = true
        return set
    }()

    static let any: ScalarSet = {
        var set = ScalarSet()
        set.isNegated = true
        return set
    }()
}

extension ByteAutomaton {
    /// One character of these, as UTF-8.
    /// - Parameter isJSON: inside a JSON string: escaped where it must be.
    mutating func add(
        _ from: State, _ ranges: [ScalarSet.Range], isJSON: Bool = false, _ to: State
    ) throws(LanguageError) {
        var ranges = ranges
        if isJSON {
            let special: [ScalarSet.Range] = [0...0x1F, 0x22...0x22, 0x5C...0x5C]
            for range in ScalarSet.intersection(ranges, special) {
                for value in range { try addEscape(from, UInt8(value), to) }
            }
            ranges = ScalarSet.intersection(
                ranges, [0x20...0x21, 0x23...0x5B, 0x5D...0x10FFFF])
        }
        var chains: [State] = [to]
        let lengths: [ScalarSet.Range] = [
            0...0x7F, 0x80...0x7FF, 0x800...0xFFFF, 0x10000...0x10FFFF,
        ]
        for length in lengths {
            for range in ScalarSet.intersection(ranges, [length]) {
                guard let low = Unicode.Scalar(range.lowerBound),
                    let high = Unicode.Scalar(range.upperBound)
                else { continue }
                try addBytes(from, Array(String(low).utf8), Array(String(high).utf8), &chains)
            }
        }
    }

    /// Characters from one to another of equal length.
    /// - Parameter chains: states from which so many bytes that go on lead to the end.
    private mutating func addBytes(
        _ from: State, _ low: [UInt8], _ high: [UInt8], _ chains: inout [State]
    ) throws(LanguageError) {
        let rest = low.count - 1
        if rest == 0 { return add(from, low[0]...high[0], chains[0]) }
        let (lowTail, highTail) = (Array(low.dropFirst()), Array(high.dropFirst()))
        let isFromFirst = lowTail.allSatisfy { $0 == 0x80 }
        let isToLast = highTail.allSatisfy { $0 == 0xBF }
        if low[0] == high[0], !(isFromFirst && isToLast) {
            let next = try makeState()
            add(from, low[0]...low[0], next)
            return try addBytes(next, lowTail, highTail, &chains)
        }
        var (first, last) = (Int(low[0]), Int(high[0]))
        if !isFromFirst {
            let next = try makeState()
            add(from, low[0]...low[0], next)
            try addBytes(next, lowTail, Array(repeating: 0xBF, count: rest), &chains)
            first += 1
        }
        if !isToLast {
            let next = try makeState()
            add(from, high[0]...high[0], next)
            try addBytes(next, Array(repeating: 0x80, count: rest), highTail, &chains)
            last -= 1
        }
        guard first <= last else { return }
        while chains.count <= rest {
            let state = try makeState()
            add(state, 0x80...0xBF, chains[chains.count - 1])
            chains.append(state)
        }
        add(from, UInt8(first)...UInt8(last), chains[rest])
    }

    /// A character that JSON writes with a backslash.
    private mutating func addEscape(
        _ from: State, _ byte: UInt8, _ to: State
    ) throws(LanguageError) {
        let short: [UInt8: String] = [
            0x22: "\\\"", 0x5C: "\\\\", 0x08: "\\b", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r",
            0x09: "\\t",
        ]
        let hex = String(byte, radix: 16)
        try add(from, short[byte] ?? "\\u00" + (hex.count == 1 ? "0" : "") + hex, to)
    }
}
