// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The shortest decimal that reads back as a given double, and of those the nearest. Floats, which
/// come in tensors, are written by `CMartletNumbers`.
///
/// Algorithm: Giulietti, The Schubfach way to render doubles (2021): one table look-up, three
/// multiplications, no loop.
struct ShortestDecimal {
    var digits: UInt64
    var exponent: Int

    /// A finite double that is not negative.
    @inline(__always)
    init(_ value: Double, _ powers: PowersOfTen) {
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
        let factor = powers.leading128RoundedUp(-scale)
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
        // Both answers are made and one is picked: which one it is cannot be predicted, and a
        // mispredicted branch costs more than either.
        let units = value / 4
        let tens = units / 10
        let isTensBelow: UInt64 = lower <= 40 &* tens ? 1 : 0
        let isTensAbove: UInt64 = 40 &* tens &+ 40 <= upper ? 1 : 0
        let isBelow: UInt64 = lower <= 4 &* units ? 1 : 0
        let isAbove: UInt64 = 4 &* units &+ 4 <= upper ? 1 : 0
        let rest = value &- 4 &* units
        let isUp: UInt64 = rest &+ (units & 1) > 2 ? 1 : 0
        let isTens = (isTensBelow ^ isTensAbove) & (units >= 10 ? 1 : 0)
        let step = isBelow ^ isAbove == 1 ? isAbove : isUp
        self.init(
            digits: isTens == 1 ? tens &+ isTensAbove : units &+ step,
            exponent: scale &+ Int(truncatingIfNeeded: isTens))
    }
}
