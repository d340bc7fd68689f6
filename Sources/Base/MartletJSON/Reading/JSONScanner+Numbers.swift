// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension JSONScanner {
    public mutating func readInt() throws(JSONError) -> Int {
        try readInteger(Int.self)
    }

    public mutating func readInt64() throws(JSONError) -> Int64 {
        try readInteger(Int64.self)
    }

    public mutating func readUInt64() throws(JSONError) -> UInt64 {
        try readInteger(UInt64.self)
    }

    /// The nearest double, ties to even.
    public mutating func readDouble() throws(JSONError) -> Double {
        skipWhitespace()
        let start = position
        let decimal = try readDecimal()
        return try double(decimal, start: start)
    }

    /// The nearest float, rounded once.
    public mutating func readFloat() throws(JSONError) -> Float {
        skipWhitespace()
        let start = position
        let decimal = try readDecimal()
        return try float(decimal, start: start)
    }

    /// An integer written without fraction and exponent, within the type's range.
    @inline(__always)
    mutating func readInteger<Value: FixedWidthInteger>(
        _ type: Value.Type
    ) throws(JSONError) -> Value {
        skipWhitespace()
        let start = position
        let decimal = try readDecimal()
        guard decimal.isInteger, !decimal.isNonFinite else {
            throw JSONError(
                .typeMismatch, "expected an integer, found \(spelling(from: start))",
                offset: start)
        }
        let value: Value?
        if decimal.isTruncated {
            value = nil
        } else if decimal.isNegative {
            value =
                decimal.mantissa <= Int64.min.magnitude
                ? Value(exactly: Int64(truncatingIfNeeded: 0 &- decimal.mantissa)) : nil
        } else {
            value = Value(exactly: decimal.mantissa)
        }
        guard let value else { throw outOfRange(start, "\(Value.self)") }
        return value
    }

    // MARK: Taking numbers apart

    /// Reads a number's parts, or the error for what stands there instead.
    @inline(__always)
    mutating func readDecimal() throws(JSONError) -> Decimal {
        skipWhitespace()
        let start = position
        var decimal = Decimal()
        if position < source.count, source[position] == UInt8(ascii: "-") {
            decimal.isNegative = true
            position += 1
        }
        let digitsStart = position
        var digits = scanDigits(source, &position, &decimal.mantissa)
        guard digits > 0 else {
            return try readNonFinite(negative: decimal.isNegative, start: start)
        }
        if digits > 1, source[digitsStart] == UInt8(ascii: "0") {
            throw JSONError(.malformed, "a number begins with 0", offset: start)
        }
        if position < source.count {
            if source[position] == UInt8(ascii: ".") {
                position += 1
                decimal.isInteger = false
                let fraction = scanDigits(source, &position, &decimal.mantissa)
                guard fraction > 0 else { throw unexpected("a digit after '.'") }
                decimal.exponent = -fraction
                digits += fraction
            }
            if position < source.count, source[position] | 0x20 == UInt8(ascii: "e") {
                try readExponent(&decimal)
            }
        }
        if digits > 19 { try readLong(&decimal, from: digitsStart, start: start) }
        return decimal
    }

    private mutating func readExponent(_ decimal: inout Decimal) throws(JSONError) {
        position += 1
        decimal.isInteger = false
        var isNegative = false
        if position < source.count,
            source[position] == UInt8(ascii: "-") || source[position] == UInt8(ascii: "+")
        {
            isNegative = source[position] == UInt8(ascii: "-")
            position += 1
        }
        let start = position
        var exponent = 0
        while position < source.count {
            let digit = source[position] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            // Far outside every float's range already; more digits change nothing.
            if exponent < 100_000 { exponent = exponent * 10 + Int(digit) }
            position += 1
        }
        guard position > start else { throw unexpected("a digit of the exponent") }
        decimal.exponent += isNegative ? -exponent : exponent
    }

    /// Corrects the parts of a number of 20 digits or more, whose mantissa has wrapped.
    private func readLong(
        _ decimal: inout Decimal, from digitsStart: Int, start: Int
    ) throws(JSONError) {
        guard position - start <= limits.numberBytesMax else {
            throw JSONError(
                .limitExceeded,
                "a number of \(position - start) bytes; at most \(limits.numberBytesMax) "
                    + "are accepted", offset: start)
        }
        var index = digitsStart
        var significant = 0
        var dropped = 0
        var mantissa: UInt64 = 0
        while index < position {
            let byte = source[index]
            index += 1
            if byte == UInt8(ascii: ".") { continue }
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            if significant == 0 && digit == 0 { continue }
            if significant < 19 {
                mantissa = mantissa * 10 + UInt64(digit)
                significant += 1
            } else {
                dropped += 1
            }
        }
        // The 20-digit integers up to UInt64.max are exact as they are.
        if decimal.isInteger && dropped == 1 {
            let last = UInt64(source[position - 1] &- UInt8(ascii: "0"))
            let (tens, high) = mantissa.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(last)
            if !high && !carry {
                decimal.mantissa = sum
                return
            }
        }
        decimal.mantissa = mantissa
        decimal.exponent += dropped
        decimal.isTruncated = dropped > 0
    }

    private mutating func readNonFinite(
        negative: Bool, start: Int
    ) throws(JSONError) -> Decimal {
        var decimal = Decimal()
        if limits.acceptsNonFinite {
            decimal.isNonFinite = true
            decimal.isInteger = false
            decimal.isNegative = negative
            if accept("Infinity") {
                decimal.mantissa = 1
                return decimal
            }
            if !negative, accept("NaN") { return decimal }
        }
        if negative { throw unexpected("a digit after '-'") }
        throw mismatch("a number")
    }

    // MARK: Making values

    @inline(__always)
    func double(_ decimal: Decimal, start: Int) throws(JSONError) -> Double {
        if let value = decimal.exactDouble { return value }
        return try slowDouble(decimal, start: start)
    }

    @inline(__always)
    func float(_ decimal: Decimal, start: Int) throws(JSONError) -> Float {
        if let value = decimal.singleFloat { return value }
        return try slowFloat(decimal, start: start)
    }

    @inline(never)
    private func slowDouble(_ decimal: Decimal, start: Int) throws(JSONError) -> Double {
        if let value = decimal.nonFinite(Double.self) { return value }
        let value: Double
        if let bits = decimal.nearestBits(.double) {
            value = Double(bitPattern: bits)
        } else {
            value = Double(spelling(from: start)) ?? .infinity
        }
        guard value.isFinite else { throw outOfRange(start, "a double") }
        return value
    }

    @inline(never)
    private func slowFloat(_ decimal: Decimal, start: Int) throws(JSONError) -> Float {
        if let value = decimal.nonFinite(Float.self) { return value }
        let value: Float
        if let bits = decimal.nearestBits(.single) {
            value = Float(bitPattern: UInt32(truncatingIfNeeded: bits))
        } else {
            value = Float(spelling(from: start)) ?? .infinity
        }
        guard value.isFinite else { throw outOfRange(start, "a 32-bit float") }
        return value
    }

    /// The number as written, cut where it would flood a message.
    func spelling(from start: Int) -> String {
        unsafe String(decoding: source.slice(start..<position), as: UTF8.self)
    }

    func outOfRange(_ start: Int, _ type: String) -> JSONError {
        let spelling = spelling(from: start)
        let shown = spelling.utf8.count > 40 ? String(spelling.prefix(40)) + "…" : spelling
        return JSONError(.outOfRange, "\(shown) does not fit \(type)", offset: start)
    }
}
