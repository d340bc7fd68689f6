// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON

/// A limit of numbers, by its digits.
struct NumberLimit: Sendable {
    static let digitsMax = 15
    static let zero = NumberLimit()

    var isNegative = false
    /// Without zeros before them, but for 0 itself.
    private(set) var whole: [UInt8] = [0]
    /// Without zeros behind them.
    private(set) var fraction: [UInt8] = []
    var isExclusive = false

    private init() {}

    /// - Throws: `LanguageError` for one of more digits than are compared.
    init(_ bound: SchemaShape.Bound, _ place: LocatedSchema) throws(LanguageError) {
        isExclusive = bound.isExclusive
        var digits: [UInt8] = []
        var exponent = 0
        var pointPlace: Int?
        let text = bound.value.integerText ?? "\(bound.number)"
        var rest = text[...]
        if rest.first == "-" {
            isNegative = true
            rest = rest.dropFirst()
        }
        if let mark = rest.firstIndex(where: { $0 == "e" || $0 == "E" }) {
            exponent = Int(rest[rest.index(after: mark)...].drop { $0 == "+" }) ?? 0
            rest = rest[..<mark]
        }
        for byte in rest.utf8 {
            if byte == UInt8(ascii: ".") {
                pointPlace = digits.count
            } else {
                digits.append(byte - 48)
            }
        }
        let point = (pointPlace ?? digits.count) + exponent
        guard abs(point) <= 400 else { throw place.fail("a number that is out of range") }
        if point <= 0 {
            whole = [0]
            fraction = Array(repeating: 0, count: -point) + digits
        } else if point >= digits.count {
            whole = digits + Array(repeating: 0, count: point - digits.count)
        } else {
            whole = Array(digits[..<point])
            fraction = Array(digits[point...])
        }
        while whole.count > 1, whole[0] == 0 { whole.removeFirst() }
        while fraction.last == 0 { fraction.removeLast() }
        if whole == [0], fraction.isEmpty { isNegative = false }
        guard fraction.count <= NumberLimit.digitsMax else {
            throw place.exceeds("more than \(NumberLimit.digitsMax) digits behind the point")
        }
    }

    /// Beyond what answers are written with.
    var isFar: Bool { whole.count > NumberLimit.digitsMax }
}

extension JSONValue {
    fileprivate var integerText: String? {
        if case .integer(let value) = self { "\(value)" } else { nil }
    }
}

extension ByteAutomaton {
    private struct DigitPlace: Hashable {
        var wholeCount: Int
        var place: Int
        /// The digits so far are the limit's own.
        var isAtLow: Bool
        var isAtHigh: Bool
    }

    /// A number without sign between two limits, whose signs do not count.
    mutating func addNumber(
        _ from: State, _ low: NumberLimit, _ high: NumberLimit?, isWhole: Bool, _ to: State
    ) throws(LanguageError) {
        let wholeMax = high?.whole.count ?? max(NumberLimit.digitsMax, low.whole.count)
        guard low.whole.count <= wholeMax else { return }
        let limits = max(low.fraction.count, high?.fraction.count ?? 0)
        var states: [DigitPlace: State] = [:]
        var open: [DigitPlace] = []
        for count in low.whole.count...wholeMax {
            let place = DigitPlace(
                wholeCount: count, place: 0, isAtLow: count == low.whole.count,
                isAtHigh: high.map { count == $0.whole.count } ?? false)
            states[place] = from
            open.append(place)
        }
        while let here = open.popLast() {
            guard let state = states[here] else { continue }
            var digits = state
            // Doubles tell numbers of fifteen digits apart.
            let fractionMax =
                isWhole
                ? 0 : max(limits, min(6, max(NumberLimit.digitsMax - here.wholeCount, 0)))
            let behind = here.place - here.wholeCount
            if behind >= 0, ends(here, low, high) { join(state, to) }
            if behind >= fractionMax { continue }
            if behind == 0 {
                digits = try makeState()
                add(state, 0x2E...0x2E, digits)
            }
            let first = digit(low, here) ?? 0
            let last = high.flatMap { digit($0, here) } ?? 9
            var from = here.isAtLow ? first : 0
            if here.place == 0, here.wholeCount > 1 { from = max(from, 1) }
            let to = here.isAtHigh ? last : 9
            guard from <= to else { continue }
            for value in from...to {
                var next = here
                next.place += 1
                next.isAtLow = here.isAtLow && value == first
                next.isAtHigh = here.isAtHigh && value == last
                if states[next] == nil {
                    states[next] = try makeState()
                    open.append(next)
                }
                if let target = states[next] { add(digits, 0x30 + value...0x30 + value, target) }
            }
        }
    }

    /// A limit's digit at a place; 0 behind its last.
    private func digit(_ limit: NumberLimit, _ here: DigitPlace) -> UInt8? {
        if here.place < here.wholeCount {
            return here.place < limit.whole.count ? limit.whole[here.place] : 0
        }
        let behind = here.place - here.wholeCount
        return behind < limit.fraction.count ? limit.fraction[behind] : 0
    }

    /// Whether a number may end here.
    private func ends(_ here: DigitPlace, _ low: NumberLimit, _ high: NumberLimit?) -> Bool {
        let behind = here.place - here.wholeCount
        if here.isAtLow, low.fraction.count > behind || low.isExclusive { return false }
        if here.isAtHigh, let high, high.fraction.count <= behind, high.isExclusive { return false }
        return true
    }
}
