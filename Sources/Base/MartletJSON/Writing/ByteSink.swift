// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Memory that numbers are written to, unchecked in release builds: the writer reserves the most
/// that a number can take before each one.
@safe struct ByteSink {
    /// The most bytes one number takes: "-2.2250738585072014e-308".
    static let numberBytesMax = 32

    private let base: UnsafeMutableRawPointer
    private let capacity: Int
    var count = 0

    init(_ memory: UnsafeMutableRawBufferPointer) {
        unsafe base = memory.baseAddress ?? UnsafeMutableRawPointer(bitPattern: 1).unsafelyUnwrapped
        capacity = memory.count
    }

    var remaining: Int { capacity - count }

    @inline(__always)
    mutating func append(_ byte: UInt8) {
        assert(count < capacity)
        unsafe base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    @inline(__always)
    func set(_ byte: UInt8, at place: Int) {
        assert(place >= 0 && place < capacity)
        unsafe base.storeBytes(of: byte, toByteOffset: place, as: UInt8.self)
    }

    /// Two decimal digits of a number below 100.
    @inline(__always)
    func setPair(_ value: UInt64, at place: Int) {
        assert(place >= 0 && place + 2 <= capacity && value < 100)
        let tens = (value &* 103) >> 10
        let pair = UInt16(truncatingIfNeeded: tens | (value &- tens &* 10) << 8) | 0x3030
        unsafe base.storeBytes(of: pair.littleEndian, toByteOffset: place, as: UInt16.self)
    }

    @inline(__always)
    func get(_ place: Int) -> UInt8 {
        unsafe base.load(fromByteOffset: place, as: UInt8.self)
    }

    // MARK: Numbers

    /// A whole number's digits.
    @inline(__always)
    mutating func append(digits value: UInt64) {
        let length = decimalLength(value)
        set(digits: value, length: length, at: count)
        count &+= length
    }

    @inline(__always)
    func set(digits value: UInt64, length: Int, at start: Int) {
        var value = value
        var place = start &+ length
        while value >= 100 {
            let quotient = value / 100
            place &-= 2
            setPair(value &- quotient &* 100, at: place)
            value = quotient
        }
        if value >= 10 {
            setPair(value, at: place &- 2)
        } else {
            set(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value), at: place &- 1)
        }
    }

    @inline(__always)
    private func set(word value: UInt64, at place: Int) {
        assert(place >= 0 && place + 8 <= capacity)
        unsafe base.storeBytes(of: value.littleEndian, toByteOffset: place, as: UInt64.self)
    }

    /// A shortest decimal as a JSON number that also shows it is no integer: "1.0", "0.001",
    /// "1.5e-7". Plain from 1e-5 up to below 1e16.
    ///
    /// Digits are written eight at a time and beyond the number's end; the room reserved for a
    /// number allows for it.
    @inline(__always)
    mutating func append(_ decimal: ShortestDecimal) {
        let length = decimalLength(decimal.digits)
        let point = length &+ decimal.exponent
        let digits = DigitWords(decimal.digits, length: length)
        let kept = digits.count
        if point <= 0, point > -5 {
            set(word: 0x3030_3030_3030_2E30, at: count)
            count &+= 2 &- point
            write(digits)
            count &+= kept
        } else if point > 0, point <= 16 {
            appendPlain(digits, kept: kept, point: point)
        } else {
            appendScientific(digits, kept: kept, power: point &- 1)
        }
    }

    @inline(__always)
    private func write(_ digits: DigitWords) {
        set(digits.first, at: count)
        set(word: digits.second, at: count &+ 1)
        if digits.third != DigitWords.zeros { set(word: digits.third, at: count &+ 9) }
    }

    /// Digits with a point behind the first `point` of them, or zeros up to it.
    @inline(__always)
    private mutating func appendPlain(_ digits: DigitWords, kept: Int, point: Int) {
        guard kept > point else {
            write(digits)
            var place = count &+ kept
            while place < count &+ point {
                set(UInt8(ascii: "0"), at: place)
                place &+= 1
            }
            set(UInt8(ascii: "."), at: place)
            set(UInt8(ascii: "0"), at: place &+ 1)
            count = place &+ 2
            return
        }
        // Written one place to the right, then the whole part moved over the point's place.
        count &+= 1
        write(digits)
        count &-= 1
        for place in count..<count &+ point { set(get(place &+ 1), at: place) }
        set(UInt8(ascii: "."), at: count &+ point)
        count &+= kept &+ 1
    }

    @inline(never)
    private mutating func appendScientific(_ digits: DigitWords, kept: Int, power: Int) {
        count &+= 1
        write(digits)
        count &-= 1
        set(get(count &+ 1), at: count)
        if kept > 1 {
            set(UInt8(ascii: "."), at: count &+ 1)
            count &+= kept &+ 1
        } else {
            count &+= 1
        }
        append(UInt8(ascii: "e"))
        if power < 0 { append(UInt8(ascii: "-")) }
        append(digits: UInt64(power.magnitude))
    }
}

/// Up to 17 decimal digits as characters, from the left: one, then eight, then eight.
struct DigitWords {
    static let zeros: UInt64 = 0x3030_3030_3030_3030

    var first: UInt8
    var second: UInt64
    var third: UInt64

    @inline(__always)
    init(_ digits: UInt64, length: Int) {
        if length <= 9 {
            let nine = digits &* decimalScales[9 &- length]
            let top = nine / 100_000_000
            first = UInt8(truncatingIfNeeded: top) &+ UInt8(ascii: "0")
            second = DigitWords.characters(nine &- top &* 100_000_000)
            third = DigitWords.zeros
        } else {
            let all = digits &* decimalScales[17 &- length]
            let top = all / 10_000_000_000_000_000
            let rest = all &- top &* 10_000_000_000_000_000
            let middle = rest / 100_000_000
            first = UInt8(truncatingIfNeeded: top) &+ UInt8(ascii: "0")
            second = DigitWords.characters(middle)
            third = DigitWords.characters(rest &- middle &* 100_000_000)
        }
    }

    /// Digits up to the last that is not zero; at least one.
    @inline(__always)
    var count: Int {
        let low = third ^ DigitWords.zeros
        if low != 0 { return 17 &- low.leadingZeroBitCount >> 3 }
        return 9 &- (second ^ DigitWords.zeros).leadingZeroBitCount >> 3
    }

    /// Eight digits as characters, the first one lowest: halves, pairs and single digits are split
    /// side by side in one word.
    @inline(__always)
    private static func characters(_ value: UInt64) -> UInt64 {
        let high = value / 10_000
        let halves = high | (value &- high &* 10_000) << 32
        let hundreds = ((halves &* 10_486) >> 20) & 0x0000_007F_0000_007F
        let pairs = hundreds | (halves &- hundreds &* 100) << 16
        let tens = ((pairs &* 103) >> 10) & 0x000F_000F_000F_000F
        return (tens | (pairs &- tens &* 10) << 8) | zeros
    }
}

/// 10^0 to 10^16.
private let decimalScales: InlineArray<17, UInt64> = [
    1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000,
    10_000_000_000, 100_000_000_000, 1_000_000_000_000, 10_000_000_000_000,
    100_000_000_000_000, 1_000_000_000_000_000, 10_000_000_000_000_000,
]

/// How many decimal digits a number has; 1 for zero.
@inline(__always)
func decimalLength(_ value: UInt64) -> Int {
    // log10(2) ≈ 1233 / 4096; one off at most, which the comparison settles.
    let guess = ((64 &- (value | 1).leadingZeroBitCount) &* 1233) >> 12
    return guess &+ (value >= decimalPowers[guess] ? 1 : 0)
}

private let decimalPowers: InlineArray<20, UInt64> = [
    0, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000,
    10_000_000_000, 100_000_000_000, 1_000_000_000_000, 10_000_000_000_000,
    100_000_000_000_000, 1_000_000_000_000_000, 10_000_000_000_000_000,
    100_000_000_000_000_000, 1_000_000_000_000_000_000, 10_000_000_000_000_000_000,
]
