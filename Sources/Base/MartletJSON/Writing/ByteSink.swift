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

    /// A shortest decimal as a JSON number that also shows it is no integer: "1.0", "0.001",
    /// "1.5e-07" becomes "1.5e-7". Plain from 1e-5 up to below 1e16.
    @inline(__always)
    mutating func append(_ decimal: ShortestDecimal) {
        var digits = decimal.digits
        var exponent = decimal.exponent
        // The algorithm leaves zeros at the end only of whole numbers and of few others.
        while digits >= 10, digits % 10 == 0 {
            digits /= 10
            exponent &+= 1
        }
        let length = decimalLength(digits)
        let point = length &+ exponent
        if point > 0, point <= 16 {
            if exponent >= 0 {
                set(digits: digits, length: length, at: count)
                count &+= length
                for _ in 0..<exponent { append(UInt8(ascii: "0")) }
                append(UInt8(ascii: "."))
                append(UInt8(ascii: "0"))
                return
            }
            // Written one place to the right, then the whole part moved over the point's place.
            set(digits: digits, length: length, at: count &+ 1)
            for place in count..<count &+ point { set(get(place &+ 1), at: place) }
            set(UInt8(ascii: "."), at: count &+ point)
            count &+= length &+ 1
        } else if point <= 0, point > -5 {
            append(UInt8(ascii: "0"))
            append(UInt8(ascii: "."))
            for _ in 0..<(0 &- point) { append(UInt8(ascii: "0")) }
            set(digits: digits, length: length, at: count)
            count &+= length
        } else {
            set(digits: digits, length: length, at: count &+ 1)
            set(get(count &+ 1), at: count)
            if length > 1 {
                set(UInt8(ascii: "."), at: count &+ 1)
                count &+= length &+ 1
            } else {
                count &+= 1
            }
            append(UInt8(ascii: "e"))
            let power = point &- 1
            if power < 0 { append(UInt8(ascii: "-")) }
            append(digits: UInt64(power.magnitude))
        }
    }
}

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
