// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletNumbers
internal import MartletBase
internal import MartletJSON
internal import Testing

@Suite("Floats as text")
struct FloatTextTests {
    private static let levels = [MARTLET_TEXT_PLAIN, MARTLET_TEXT_AVX2, MARTLET_TEXT_AVX512]
        .filter { $0.rawValue <= martlet_text_best().rawValue }

    private func text(
        _ values: [Float], _ level: martlet_text_level, literals: Bool = false
    ) -> [UInt8] {
        let room = values.count * Int(MARTLET_FLOAT_TEXT_MAX)
        return unsafe [UInt8](unsafeUninitializedCapacity: room) { text, count in
            unsafe values.withUnsafeBytes { values in
                guard let base = values.baseAddress, let start = text.baseAddress else { return }
                unsafe start.withMemoryRebound(to: CChar.self, capacity: room) {
                    unsafe count = martlet_text_f32(
                        base, values.count / 4, literals ? 1 : 0, level, $0)
                }
            }
        }
    }

    /// What a float is written as, from the standard library's shortest digits.
    private func expected(_ value: Float) -> String {
        guard value.isFinite else { return "null" }
        let parts = value.magnitude.description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".")
        let whole = mantissa[0]
        let fraction = mantissa.count > 1 ? mantissa[1] : ""
        var digits = String((whole + fraction).drop { $0 == "0" })
        var point = whole.count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
        point -= (whole + fraction).count - digits.count
        while digits.last == "0" { digits.removeLast() }
        let sign = value.sign == .minus ? "-" : ""
        if digits.isEmpty { return sign + "0.0" }
        func zeros(_ count: Int) -> String { String(repeating: "0", count: max(count, 0)) }
        if (-4...0).contains(point) { return "\(sign)0.\(zeros(-point))\(digits)" }
        if (1...16).contains(point) {
            if digits.count <= point { return sign + digits + zeros(point - digits.count) + ".0" }
            return "\(sign)\(digits.prefix(point)).\(digits.dropFirst(point))"
        }
        let rest = digits.dropFirst()
        return "\(sign)\(digits.prefix(1))\(rest.isEmpty ? "" : ".")\(rest)e\(point - 1)"
    }

    private func check(_ values: [Float], _ note: String) {
        for level in FloatTextTests.levels {
            let text = String(decoding: text(values, level), as: UTF8.self)
            let found = text.split(separator: ",", omittingEmptySubsequences: false).dropLast()
            #expect(found.count == values.count, "\(note), level \(level.rawValue)")
            for (value, found) in zip(values, found) where found != expected(value) {
                Issue.record("\(value) became \(found), level \(level.rawValue), \(note)")
            }
        }
    }

    @Test("every exponent, both neighbours of every power of two and ten, and the ends")
    func edges() {
        var values: [Float] = [0, -0.0, 1, -1, .greatestFiniteMagnitude, .leastNonzeroMagnitude]
        for exponent in 0..<255 as Range<UInt32> {
            for fraction in [0, 1, 2, 0x3F_FFFF, 0x40_0000, 0x7F_FFFE, 0x7F_FFFF] as [UInt32] {
                values.append(Float(bitPattern: exponent << 23 | fraction))
            }
        }
        var ten = Float.leastNonzeroMagnitude
        while ten.isFinite {
            values += [ten, -ten]
            ten *= 10
        }
        for power in -45...38 {
            guard let ten = Float("1e\(power)") else { continue }
            values += [ten.nextDown, ten, ten.nextUp, -ten]
        }
        check(values, "edges")
    }

    @Test("whole numbers, short decimals and every bit pattern drawn")
    func samples() {
        let seed: UInt64 = 77
        var random = SeededRandom(seed: seed)
        var values: [Float] = []
        for number in stride(from: Float(0), through: 2_000, by: 1) {
            values += [number, -number / 1_000, number * 4_096, number / 128]
        }
        for _ in 0..<30_000 {
            values.append(Float(bitPattern: UInt32(truncatingIfNeeded: random.next())))
            values.append(Float.random(in: 0..<1, using: &random))
            values.append(Float.random(in: 0..<1, using: &random) * 1e-5)
        }
        check(values, "seed \(seed)")
    }

    @Test("two million floats read back the same, and all levels write the same")
    func manyFloats() {
        let seed: UInt64 = 78
        var random = SeededRandom(seed: seed)
        for round in 0..<31 {
            let values = (0..<65_536).map { _ -> Float in
                let bits = UInt32(truncatingIfNeeded: random.next())
                let value = Float(bitPattern: bits)
                return value.isFinite ? value : Float(bits % 1_000)
            }
            let plain = text(values, MARTLET_TEXT_PLAIN)
            for level in FloatTextTests.levels {
                #expect(text(values, level) == plain, "level \(level.rawValue), seed \(seed)")
            }
            let json = [UInt8(ascii: "[")] + plain.dropLast() + [UInt8(ascii: "]")]
            var read = [Float](repeating: 0, count: values.count)
            let result = Result {
                try unsafe json.withUnsafeBytes { json in
                    var scanner = unsafe JSONScanner(json)
                    _ = try unsafe read.withUnsafeMutableBytes {
                        try unsafe scanner.readNumbers(into: $0, as: .float32)
                    }
                }
            }
            #expect(throws: Never.self) { try result.get() }
            #expect(
                zip(read, values).allSatisfy { $0.bitPattern == $1.bitPattern },
                "seed \(seed), round \(round)")
        }
    }

    @Test("what is no number is null or, when asked for, a word, wherever it stands")
    func nonFinite() {
        for place in 0..<16 {
            for level in FloatTextTests.levels {
                var values = [Float](repeating: 0.5, count: 16)
                values[place] = .nan
                values[15 - place] = -.infinity
                let words = values.map {
                    $0.isFinite ? "0.5" : $0.isNaN ? "NaN" : "-Infinity"
                }
                let nulls = words.map { $0 == "0.5" ? $0 : "null" }
                let written = text(values, level, literals: true)
                #expect(written.elementsEqual((words.joined(separator: ",") + ",").utf8))
                #expect(
                    text(values, level).elementsEqual((nulls.joined(separator: ",") + ",").utf8))
            }
        }
    }

    @Test("a tensor's text has a comma between all its numbers", arguments: [0, 1, 15, 127, 129])
    func arrays(count: Int) {
        let values = (0..<count).map { Float($0) / 8 }
        var writer = JSONWriter()
        unsafe values.withUnsafeBytes { unsafe writer.numbers($0, as: .float32) }
        let expected = values.map { "\($0)" }.joined(separator: ",")
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "[\(expected)]")
    }
}
