// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Blocks of 256 weights whose parts have scales of few bits under two scales of the block.
extension BlockQuantizer {
    // MARK: Q4_K, Q5_K

    /// d s q - e m, with s and m of six bits for each 32.
    static func appendAffineK(_ block: Span<Float>, bits: Int, to out: inout [UInt8]) {
        var scales = InlineArray<8, Float>(repeating: 0)
        var lows = InlineArray<8, Float>(repeating: 0)
        for part in 0..<8 {
            let (scale, low) = affine(block.extracting(part * 32..<part * 32 + 32), bits: bits)
            scales[part] = scale
            lows[part] = low
        }
        let (scaleUnit, scaleCodes) = sixBits(scales)
        let (lowUnit, lowCodes) = sixBits(lows)
        append(half: scaleUnit, to: &out)
        append(half: lowUnit, to: &out)
        for part in 0..<4 {
            out.append(scaleCodes[part] | (scaleCodes[part + 4] >> 4) << 6)
        }
        for part in 0..<4 { out.append(lowCodes[part] | (lowCodes[part + 4] >> 4) << 6) }
        for part in 4..<8 { out.append(scaleCodes[part] & 15 | (lowCodes[part] & 15) << 4) }
        // Levels by what the codes will be read as.
        let (d, e) = (Float(Float16(scaleUnit)), Float(Float16(lowUnit)))
        var levels = InlineArray<256, UInt8>(repeating: 0)
        for part in 0..<8 {
            let scale = d * Float(scaleCodes[part])
            let low = e * Float(lowCodes[part])
            guard scale != 0 else { continue }
            for index in part * 32..<part * 32 + 32 {
                let level = ((block[index] + low) / scale).rounded(.toNearestOrAwayFromZero)
                levels[index] = UInt8(clamping(level, 0, Float((1 << bits) - 1)))
            }
        }
        if bits == 5 {
            for index in 0..<32 {
                var byte: UInt8 = 0
                for part in 0..<8 { byte |= (levels[part * 32 + index] >> 4) << UInt8(part) }
                out.append(byte)
            }
        }
        for pair in 0..<4 {
            for index in pair * 64..<pair * 64 + 32 {
                out.append(levels[index] & 15 | levels[index + 32] << 4)
            }
        }
    }

    /// Codes of six bits for values that are not negative.
    private static func sixBits(
        _ values: InlineArray<8, Float>
    ) -> (unit: Float, codes: InlineArray<8, UInt8>) {
        var largest: Float = 0
        for index in values.indices { largest = max(largest, values[index]) }
        var codes = InlineArray<8, UInt8>(repeating: 0)
        let unit = largest / 63
        guard unit > 0 else { return (0, codes) }
        for index in values.indices {
            let code = (values[index] / unit).rounded(.toNearestOrAwayFromZero)
            codes[index] = UInt8(clamping(code, 0, 63))
        }
        return (unit, codes)
    }

    /// Scale and (negated) minimum that leave little error, weighted by the values' sizes: from a
    /// few roundings the best least-squares fit.
    private static func affine(
        _ values: Span<Float>, bits: Int
    ) -> (scale: Float, low: Float) {
        let most = Float((1 << bits) - 1)
        var (low, high, squares) = (min(values[0], 0), values[0], Float(0))
        for index in values.indices {
            low = min(low, values[index])
            high = max(high, values[index])
            squares += values[index] * values[index]
        }
        guard high > low, squares.isFinite else { return (0, max(-low, 0)) }
        let typical = (squares / Float(values.count)).squareRoot()
        var best = (scale: (high - low) / most, low: -low)
        var least = error(values, best, most, typical)
        for step in -8...8 {
            let inverse = (most + Float(step) * 0.1) / (high - low)
            let found = fit(values, inverse, low, most, typical)
            guard let found else { continue }
            let size = error(values, found, most, typical)
            if size < least { (best, least) = (found, size) }
        }
        return best
    }

    /// The least-squares scale and minimum for the levels that one rounding gives.
    private static func fit(
        _ values: Span<Float>, _ inverse: Float, _ low: Float, _ most: Float, _ typical: Float
    ) -> (scale: Float, low: Float)? {
        var (w, x, l, xl, ll) = (Float(0), Float(0), Float(0), Float(0), Float(0))
        for index in values.indices {
            let value = values[index]
            let level = max(0, min(((value - low) * inverse).rounded(), most))
            let weight = typical + abs(value)
            w += weight
            x += weight * value
            l += weight * level
            xl += weight * value * level
            ll += weight * level * level
        }
        let determinant = w * ll - l * l
        guard determinant > 0 else { return nil }
        let scale = (w * xl - x * l) / determinant
        let minimum = (ll * x - l * xl) / determinant
        if minimum > 0 { return ll > 0 ? (max(xl / ll, 0), 0) : nil }
        return scale > 0 ? (scale, -minimum) : nil
    }

    private static func error(
        _ values: Span<Float>, _ choice: (scale: Float, low: Float), _ most: Float,
        _ typical: Float
    ) -> Float {
        guard choice.scale > 0 else { return .infinity }
        var sum: Float = 0
        for index in values.indices {
            let level = max(0, min(((values[index] + choice.low) / choice.scale).rounded(), most))
            let difference = choice.scale * level - choice.low - values[index]
            sum += (typical + abs(values[index])) * difference * difference
        }
        return sum
    }

    // MARK: Q6_K

    /// d s (q - 32), with an eight-bit s for each 16.
    static func appendQ6K(_ block: Span<Float>, to out: inout [UInt8]) {
        var scales = InlineArray<16, Float>(repeating: 0)
        var extreme: Float = 0
        for part in 0..<16 {
            scales[part] = centred(block.extracting(part * 16..<part * 16 + 16))
            if abs(scales[part]) > abs(extreme) { extreme = scales[part] }
        }
        let unit = extreme / -128
        let d = Float(Float16(unit))
        var codes = InlineArray<16, Int8>(repeating: 0)
        var levels = InlineArray<256, UInt8>(repeating: 32)
        for part in 0..<16 where d != 0 {
            let code = (scales[part] / unit).rounded(.toNearestOrAwayFromZero)
            codes[part] = Int8(clamping(code, -128, 127))
            let scale = d * Float(codes[part])
            guard scale != 0 else { continue }
            for index in part * 16..<part * 16 + 16 {
                let level = (block[index] / scale).rounded(.toNearestOrAwayFromZero)
                levels[index] = UInt8(clamping(level, -32, 31) + 32)
            }
        }
        for half in 0..<2 {
            let start = half * 128
            for index in start..<start + 64 {
                out.append(levels[index] & 15 | levels[index + 64] << 4)
            }
        }
        for half in 0..<2 {
            for index in half * 128..<half * 128 + 32 {
                var byte: UInt8 = 0
                for part in 0..<4 { byte |= (levels[index + part * 32] >> 4) << UInt8(part * 2) }
                out.append(byte)
            }
        }
        for part in 0..<16 { out.append(UInt8(bitPattern: codes[part])) }
        append(half: unit, to: &out)
    }

    /// The scale of levels from -32 to 31 that leaves little error, weighted by squares.
    private static func centred(_ values: Span<Float>) -> Float {
        var extreme: Float = 0
        for index in values.indices where abs(values[index]) > abs(extreme) {
            extreme = values[index]
        }
        guard extreme != 0, extreme.isFinite else { return 0 }
        var (best, most) = (extreme / -32, -Float.infinity)
        for step in -9...9 {
            let inverse = -(32 + 0.1 * Float(step)) / extreme
            var (xl, ll) = (Float(0), Float(0))
            for index in values.indices {
                let level = max(-32, min((values[index] * inverse).rounded(), 31))
                let weight = values[index] * values[index]
                xl += weight * values[index] * level
                ll += weight * level * level
            }
            // What the fit explains; the rest is its error.
            if ll > 0, xl * xl / ll > most { (best, most) = (xl / ll, xl * xl / ll) }
        }
        return best
    }
}
