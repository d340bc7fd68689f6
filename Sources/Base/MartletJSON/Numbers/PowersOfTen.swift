// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The leading 128 bits of the powers of ten that decimal conversion needs, made at first use by
/// exact long arithmetic (a few hundred microseconds) and never freed.
// Sendable: the table is written before the only instance is published, and never after.
@safe struct PowersOfTen: @unchecked Sendable {
    struct Entry {
        var high: UInt64
        var low: UInt64
    }

    static let shared = PowersOfTen()
    static let powerMin = -342
    static let powerMax = 324
    /// Entries of these powers are exact; those of -27 to -1 are rounded up, the rest down.
    static let exactMax = 55

    private let entries: UnsafePointer<Entry>

    @inline(__always)
    subscript(power: Int) -> Entry {
        assert(power >= PowersOfTen.powerMin && power <= PowersOfTen.powerMax)
        return unsafe entries[power - PowersOfTen.powerMin]
    }

    /// ⌊log₂ 10^power⌋ for |power| ≤ 1 233.
    @inline(__always)
    static func floorLog2(_ power: Int) -> Int { (power &* 1_741_647) >> 19 }

    /// ⌈the leading 128 bits⌉: exact where 128 bits suffice, otherwise rounded up.
    @inline(__always)
    func leading128RoundedUp(_ power: Int) -> Entry {
        var entry = self[power]
        if power < -27 || power > PowersOfTen.exactMax {
            entry.low &+= 1
            if entry.low == 0 { entry.high &+= 1 }
        }
        return entry
    }

    private init() {
        let count = PowersOfTen.powerMax - PowersOfTen.powerMin + 1
        let table = UnsafeMutablePointer<Entry>.allocate(capacity: count)
        // Powers of five: the factor 2^power moves no leading bit.
        var number = LongNumber(words: 40)
        number.words[0] = 1
        for power in 0...PowersOfTen.powerMax {
            let entry = number.leading128()
            unsafe (table + (power - PowersOfTen.powerMin)).initialize(to: entry)
            number.multiplyByFive()
        }
        number = LongNumber(words: 40)
        number.words[39] = 1
        for power in stride(from: -1, through: PowersOfTen.powerMin, by: -1) {
            number.divideByFive()
            var entry = number.leading128()
            if power >= -27 {
                entry.low &+= 1
                if entry.low == 0 { entry.high &+= 1 }
            }
            unsafe (table + (power - PowersOfTen.powerMin)).initialize(to: entry)
        }
        unsafe entries = UnsafePointer(table)
    }
}

/// A whole number of a fixed length, least significant word first.
private struct LongNumber {
    var words: [UInt64]

    init(words count: Int) {
        words = Array(repeating: 0, count: count)
    }

    mutating func multiplyByFive() {
        var carry: UInt64 = 0
        for index in words.indices {
            let (high, low) = words[index].multipliedFullWidth(by: 5)
            let (sum, overflow) = low.addingReportingOverflow(carry)
            words[index] = sum
            carry = high + (overflow ? 1 : 0)
        }
    }

    mutating func divideByFive() {
        var remainder: UInt64 = 0
        for index in words.indices.reversed() {
            (words[index], remainder) = UInt64(5).dividingFullWidth((remainder, words[index]))
        }
    }

    /// The 128 bits from the highest set one on.
    func leading128() -> PowersOfTen.Entry {
        guard let top = words.lastIndex(where: { $0 != 0 }) else {
            return PowersOfTen.Entry(high: 0, low: 0)
        }
        func word(_ index: Int) -> UInt64 { index >= 0 ? words[index] : 0 }
        let shift = UInt64(words[top].leadingZeroBitCount)
        guard shift > 0 else { return PowersOfTen.Entry(high: word(top), low: word(top - 1)) }
        return PowersOfTen.Entry(
            high: word(top) << shift | word(top - 1) >> (64 - shift),
            low: word(top - 1) << shift | word(top - 2) >> (64 - shift))
    }
}
