// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What tells one IEEE 754 format from another in `nearestBits`.
struct FloatFormat {
    var mantissaBits: Int
    var exponentMin: Int
    var exponentInfinite: Int
    var powersOfTen: ClosedRange<Int>
    /// Powers of ten for which a product may lie exactly half-way between two floats.
    var powersOfTies: ClosedRange<Int>

    static let double = FloatFormat(
        mantissaBits: 52, exponentMin: -1023, exponentInfinite: 0x7FF, powersOfTen: -342...308,
        powersOfTies: -4...23)
    static let single = FloatFormat(
        mantissaBits: 23, exponentMin: -127, exponentInfinite: 0xFF, powersOfTen: -65...38,
        powersOfTies: -17...10)
}

/// 10^0 to 10^22, the powers that a double holds exactly.
private let exactPowers: InlineArray<23, Double> = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
]

extension Decimal {
    /// The nearest double where one rounding suffices (Clinger: How to Read Floating Point Numbers
    /// Accurately, 1990): mantissa and power both exact.
    @inline(__always)
    var exactDouble: Double? {
        guard mantissa <= 1 << 53, exponent >= -22, exponent <= 22, !isTruncated, !isNonFinite
        else { return nil }
        let scaled =
            exponent < 0
            ? Double(mantissa) / exactPowers[-exponent] : Double(mantissa) * exactPowers[exponent]
        return isNegative ? -scaled : scaled
    }

    /// The nearest float by way of a correctly rounded double.
    ///
    /// Rounding twice is right unless the double lies exactly half-way between two floats: any
    /// other double lies on the same side of the middle as the number itself.
    @inline(__always)
    var singleFloat: Float? {
        guard let value = exactDouble else { return nil }
        let isMiddle = value.bitPattern & 0x1FFF_FFFF == 0x1000_0000
        guard !isMiddle, value.magnitude >= 0x1p-126 || mantissa == 0 else { return nil }
        return Float(value)
    }

    func nonFinite<Value: BinaryFloatingPoint>(_ type: Value.Type) -> Value? {
        guard isNonFinite else { return nil }
        if mantissa == 0 { return .nan }
        return isNegative ? -.infinity : .infinity
    }

    /// The bits of the nearest float of a format; nil when 19 digits cannot decide.
    func nearestBits(_ format: FloatFormat) -> UInt64? {
        let bits = Decimal.nearestMagnitude(mantissa, exponent, format)
        if isTruncated, bits != Decimal.nearestMagnitude(mantissa + 1, exponent, format) {
            return nil
        }
        let sign: UInt64 = format.mantissaBits == 52 ? 1 << 63 : 1 << 31
        return isNegative ? bits | sign : bits
    }

    /// The float nearest to `digits × 10^power`, as bits without a sign.
    ///
    /// Algorithm: Eisel and Lemire (Number Parsing at a Gigabyte per Second, 2021); that it never
    /// needs a fallback: Mushtak and Lemire (Fast Number Parsing Without Fallback, 2023).
    private static func nearestMagnitude(
        _ digits: UInt64, _ power: Int, _ format: FloatFormat
    ) -> UInt64 {
        if digits == 0 || power < format.powersOfTen.lowerBound { return 0 }
        let infinity = UInt64(format.exponentInfinite) << UInt64(format.mantissaBits)
        if power > format.powersOfTen.upperBound { return infinity }
        let zeros = digits.leadingZeroBitCount
        let normal = digits << UInt64(zeros)
        let factor = PowersOfTen.shared[power]
        var (high, low) = normal.multipliedFullWidth(by: factor.high)
        let mask = UInt64.max >> UInt64(format.mantissaBits + 3)
        if high & mask == mask {
            let more = normal.multipliedFullWidth(by: factor.low).high
            low &+= more
            if more > low { high &+= 1 }
        }
        let top = Int(high >> 63)
        let shift = UInt64(top + 64 - format.mantissaBits - 3)
        var mantissa = high >> shift
        var exponent =
            PowersOfTen.floorLog2(power) + 63 + top - zeros - format.exponentMin
        if exponent <= 0 {
            if 1 - exponent >= 64 { return 0 }
            mantissa >>= UInt64(1 - exponent)
            mantissa = (mantissa + mantissa & 1) >> 1
            // Rounding up may have made the smallest normal number, whose bits follow on.
            return mantissa
        }
        if low <= 1, format.powersOfTies.contains(power), mantissa & 3 == 1,
            mantissa << shift == high
        {
            mantissa &= ~1
        }
        mantissa = (mantissa + mantissa & 1) >> 1
        if mantissa >= 2 << UInt64(format.mantissaBits) {
            mantissa = 1 << UInt64(format.mantissaBits)
            exponent += 1
        }
        if exponent >= format.exponentInfinite { return infinity }
        mantissa &= ~(1 << UInt64(format.mantissaBits))
        return mantissa | UInt64(exponent) << UInt64(format.mantissaBits)
    }
}
