// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension JSONValue {
    /// Parses a whole text. Repeated names: the last value wins.
    /// - Throws: `JSONError` with line and column.
    public init(
        parsing bytes: UnsafeRawBufferPointer, limits: JSONLimits = JSONLimits()
    ) throws(JSONError) {
        var scanner = unsafe JSONScanner(bytes, limits: limits)
        do {
            self = try scanner.readValue()
            try scanner.finish()
        } catch {
            throw unsafe error.located(in: bytes)
        }
    }

    public init(parsing bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) {
        self = try unsafe bytes.withUnsafeBufferPointer { (bytes) throws(JSONError) in
            try unsafe JSONValue(parsing: UnsafeRawBufferPointer(bytes), limits: limits)
        }
    }

    public init(parsing text: String, limits: JSONLimits = JSONLimits()) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }
}

extension JSONScanner {
    /// The next value, whatever it is.
    public mutating func readValue() throws(JSONError) -> JSONValue {
        switch try peek() {
        case .null:
            try readNull()
            return .null
        case .bool: return .bool(try readBool())
        case .string: return .string(try readString())
        case .number: return try readNumber()
        case .array:
            var elements: [JSONValue] = []
            try beginArray()
            while try nextElement() { elements.append(try readValue()) }
            return .array(elements)
        case .object:
            var object = JSONObject()
            try beginObject()
            while let key = try nextKey() { object[key.string] = try readValue() }
            return .object(object)
        }
    }

    private mutating func readNumber() throws(JSONError) -> JSONValue {
        skipWhitespace()
        let start = position
        let decimal = try readDecimal()
        if decimal.isInteger, !decimal.isTruncated, !decimal.isNonFinite {
            if !decimal.isNegative, let value = Int64(exactly: decimal.mantissa) {
                return .integer(value)
            }
            // "-0" is the double that has a sign.
            if decimal.isNegative, decimal.mantissa != 0,
                decimal.mantissa <= Int64.min.magnitude
            {
                return .integer(Int64(truncatingIfNeeded: 0 &- decimal.mantissa))
            }
        }
        return .number(try double(decimal, start: start))
    }
}
