// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The shortest decimal that reads back as a given float, and of those the nearest.
///
/// Algorithm: Giulietti, The Schubfach way to render doubles (2021): one table look-up, three
/// multiplications, no loop.
struct ShortestDecimal {
    var digits: UInt64
    var exponent: Int

    /// A finite float that is not negative.
    @inline(__always)
    init(_ value: Float) {
        let bits = value.bitPattern
        guard bits != 0 else {
            self.init(digits: 0, exponent: 0)
            return
        }
        let fraction = bits & 0x7F_FFFF
        let biased = Int(bits >> 23) & 0xFF
        let (significand, power): (UInt32, Int) =
            biased == 0 ? (fraction, -149) : (fraction | 0x80_0000, biased - 150)
        if power <= 0, power > -24, significand & ((1 << UInt32(-power)) - 1) == 0 {
            self.init(digits: UInt64(significand >> UInt32(-power)), exponent: 0)
            return
        }
        // Just above a power of two the neighbour below is only half as far away.
        let isUneven = fraction == 0 && biased > 1
        let scale = (power &* 1_262_611 &- (isUneven ? 524_031 : 0)) >> 22
        let shift = UInt32(truncatingIfNeeded: power + PowersOfTen.floorLog2(-scale) + 1)
        let factor = PowersOfTen.shared.leading64RoundedUp(-scale)
        func scaled(_ quarters: UInt32) -> UInt64 {
            let product = factor.multipliedFullWidth(by: UInt64(quarters << shift))
            return product.high | (product.low >> 32 > 1 ? 1 : 0)
        }
        let excluded: UInt64 = significand & 1 == 0 ? 0 : 1
        self.init(
            lower: scaled(4 * significand - (isUneven ? 1 : 2)) + excluded,
            value: scaled(4 * significand), upper: scaled(4 * significand + 2) - excluded,
            scale: scale)
    }

    /// A finite double that is not negative.
    @inline(__always)
    init(_ value: Double) {
        let bits = value.bitPattern
        guard bits != 0 else {
            self.init(digits: 0, exponent: 0)
            return
        }
        let fraction = bits & 0xF_FFFF_FFFF_FFFF
        let biased = Int(bits >> 52) & 0x7FF
        let (significand, power): (UInt64, Int) =
            biased == 0 ? (fraction, -1074) : (fraction | 1 << 52, biased - 1075)
        if power <= 0, power > -53, significand & ((1 << UInt64(-power)) - 1) == 0 {
            self.init(digits: significand >> UInt64(-power), exponent: 0)
            return
        }
        let isUneven = fraction == 0 && biased > 1
        let scale = (power &* 1_262_611 &- (isUneven ? 524_031 : 0)) >> 22
        let shift = UInt64(truncatingIfNeeded: power + PowersOfTen.floorLog2(-scale) + 1)
        let factor = PowersOfTen.shared.leading128RoundedUp(-scale)
        func scaled(_ quarters: UInt64) -> UInt64 {
            let carried = factor.low.multipliedFullWidth(by: quarters << shift).high
            let (high, low) = factor.high.multipliedFullWidth(by: quarters << shift)
            let (sum, overflow) = low.addingReportingOverflow(carried)
            return (high &+ (overflow ? 1 : 0)) | (sum > 1 ? 1 : 0)
        }
        let excluded: UInt64 = significand & 1 == 0 ? 0 : 1
        self.init(
            lower: scaled(4 * significand - (isUneven ? 1 : 2)) + excluded,
            value: scaled(4 * significand), upper: scaled(4 * significand + 2) - excluded,
            scale: scale)
    }

    private init(digits: UInt64, exponent: Int) {
        self.digits = digits
        self.exponent = exponent
    }

    /// Chooses between the candidates; all three are in quarters of `10^scale`, the bounds
    /// included in the interval.
    @inline(__always)
    private init(lower: UInt64, value: UInt64, upper: UInt64, scale: Int) {
        let units = value / 4
        if units >= 10 {
            let tens = units / 10
            let isBelowInside = lower <= 40 * tens
            let isAboveInside = 40 * tens + 40 <= upper
            if isBelowInside != isAboveInside {
                self.init(digits: tens + (isAboveInside ? 1 : 0), exponent: scale + 1)
                return
            }
        }
        let isBelowInside = lower <= 4 * units
        let isAboveInside = 4 * units + 4 <= upper
        if isBelowInside != isAboveInside {
            self.init(digits: units + (isAboveInside ? 1 : 0), exponent: scale)
            return
        }
        let middle = 4 * units + 2
        let isUp = value > middle || (value == middle && units & 1 != 0)
        self.init(digits: units + (isUp ? 1 : 0), exponent: scale)
    }
}
