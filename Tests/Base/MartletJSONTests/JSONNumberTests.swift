// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletJSON
internal import Testing

@Suite("JSON numbers")
struct JSONNumberTests {
    private func readDouble(_ text: String) throws -> Double {
        try unsafe Array(text.utf8).withUnsafeBytes { bytes in
            var scanner = unsafe JSONScanner(bytes)
            let value = try scanner.readDouble()
            try scanner.finish()
            return value
        }
    }

    private func readFloat(_ text: String) throws -> Float {
        try unsafe Array(text.utf8).withUnsafeBytes { bytes in
            var scanner = unsafe JSONScanner(bytes)
            let value = try scanner.readFloat()
            try scanner.finish()
            return value
        }
    }

    private func check(_ text: String) throws {
        let double = unsafe strtod(text, nil)
        if double.isFinite {
            let read = try readDouble(text)
            #expect(read.bitPattern == double.bitPattern, "\(text) as a double")
        }
        let float = unsafe strtof(text, nil)
        if float.isFinite {
            let read = try readFloat(text)
            #expect(read.bitPattern == float.bitPattern, "\(text) as a float")
        } else {
            #expect(throws: JSONError.self) { try readFloat(text) }
        }
    }

    @Test(
        "agrees with strtod and strtof on the hard cases",
        arguments: [
            "0", "-0", "0.0", "-0.0e5", "1", "9007199254740993", "9007199254740992",
            "9007199254740991", "1e22", "1e23", "8.5e22", "123456789012345678", "1e-22", "1e-23",
            "2.2250738585072014e-308", "2.2250738585072011e-308", "4.9406564584124654e-324",
            "2.4703282292062327e-324", "2.4703282292062328e-324", "1.7976931348623157e308",
            "1e-400", "16777217", "16777219", "33554435", "0.000000000000000000000000001",
            "3.4028234663852886e38", "3.4028235677973366e38", "1.1754943508222875e-38",
            "1.1754942e-38", "1.4e-45", "7.006492321624085e-46", "7.0064923216240854e-46",
            "7.0064923216240862e-46", "1.00000005960464477539062500001",
            "1.000000059604644775390625", "1.00000005960464477539062499999",
            "0.500000029802322387695312500", "8388608.5", "8388609.5", "16777216.99999999999999999",
            "6929495644600919.5", "3.508354817490244e-16", "10000000000000000000000000",
            "9223372036854775808", "18446744073709551615", "18446744073709551616",
            "1090544144181609348671888949248", "0.1000000000000000055511151231257827021181583",
            "7.2057594037927933e16", "1448997445238699", "4503599627370497.5",
        ])
    func hardCases(text: String) throws {
        try check(text)
    }

    @Test("agrees with strtod and strtof on 200 000 random numbers")
    func random() throws {
        var random = SeededRandom(seed: 20_260_101)
        for _ in 0..<40_000 {
            let float = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
            if float.isFinite { try check("\(float)".replacingPlus) }
            let double = Double(bitPattern: random.next())
            if double.isFinite { try check("\(double)".replacingPlus) }
            let digits = 1 + Int(random.next() % 25)
            var text = ""
            for place in 0..<digits {
                text += "\(place == 0 ? 1 + random.next() % 9 : random.next() % 10)"
            }
            let exponent = Int(random.next() % 80) - 50 - digits
            try check("0.\(text)")
            try check("\(text)e\(exponent)")
            // The middle between two floats, exactly and a little off.
            let near = Float(bitPattern: UInt32(random.next() & 0x3FFF_FFFF) + 0x2000_0000)
            let middle = (Double(near) + Double(near.nextUp)) / 2
            try check("\(middle)".replacingPlus)
        }
    }

    @Test("writes doubles that read back the same and are as short as Swift's own")
    func writing() throws {
        var random = SeededRandom(seed: 7)
        for _ in 0..<50_000 {
            let double = Double(bitPattern: random.next())
            guard double.isFinite else { continue }
            var writer = JSONWriter()
            writer.number(double)
            let text = String(decoding: writer.bytes, as: UTF8.self)
            #expect(Double(text)?.bitPattern == double.bitPattern, "\(double) became \(text)")
            #expect(digits(text) == digits("\(double)"), "\(double) became \(text)")
        }
        for exponent in 0..<2047 as Range<UInt64> {
            let double = Double(bitPattern: exponent << 52)
            var writer = JSONWriter()
            writer.number(double)
            let text = String(decoding: writer.bytes, as: UTF8.self)
            #expect(Double(text)?.bitPattern == double.bitPattern, "\(double) became \(text)")
        }
    }

    /// The significant digits of a number as written.
    private func digits(_ text: String) -> String {
        let mantissa = text.prefix { $0 != "e" }.filter(\.isNumber)
        let trimmed = mantissa.drop { $0 == "0" }.reversed().drop { $0 == "0" }
        return String(trimmed.reversed())
    }

    @Test("writes numbers in JSON's form")
    func forms() {
        func written(_ value: Float) -> String {
            var writer = JSONWriter()
            writer.number(value)
            return String(decoding: writer.bytes, as: UTF8.self)
        }
        #expect(written(0) == "0.0")
        #expect(written(-0.0) == "-0.0")
        #expect(written(1) == "1.0")
        #expect(written(1200) == "1200.0")
        #expect(written(0.25) == "0.25")
        #expect(written(12.5) == "12.5")
        #expect(written(1e-4) == "0.0001")
        #expect(written(1.5e-7) == "1.5e-7")
        #expect(written(1e20) == "1e20")
        #expect(written(.nan) == "null")
        var writer = JSONWriter(nonFinite: .literal)
        writer.beginArray()
        writer.number(Float.infinity)
        writer.number(-Double.infinity)
        writer.number(Double.nan)
        writer.integer(Int64.min)
        writer.integer(UInt64.max)
        writer.integer(0)
        writer.endArray()
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == "[Infinity,-Infinity,NaN,-9223372036854775808,18446744073709551615,0]")
    }
}

extension String {
    /// Swift writes "1e+20"; both forms are JSON.
    fileprivate var replacingPlus: String { String(filter { $0 != "+" }) }
}
