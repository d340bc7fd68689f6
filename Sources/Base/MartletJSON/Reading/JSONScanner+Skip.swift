// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension JSONScanner {
    /// Steps over one value of any kind, validating it. Uses no recursion.
    public mutating func skipValue() throws(JSONError) {
        // One bit per open container: set for an object.
        var isObject = InlineArray<16, UInt64>(repeating: 0)
        var opened = 0
        while true {
            switch try peek() {
            case .object:
                try enter()
                isObject[opened >> 6] |= 1 << UInt64(opened & 63)
                opened += 1
            case .array:
                try enter()
                isObject[opened >> 6] &= ~(1 << UInt64(opened & 63))
                opened += 1
            case .string: _ = try readText()
            case .number: _ = try readDecimal()
            case .bool: _ = try readBool()
            case .null: try readNull()
            }
            while opened > 0 {
                let top = opened - 1
                let more =
                    isObject[top >> 6] & (1 << UInt64(top & 63)) != 0
                    ? try nextKey() != nil : try nextElement()
                if more { break }
                opened -= 1
            }
            if opened == 0 { return }
        }
    }

    /// Steps over one value and returns its bytes, validated.
    public mutating func readRaw() throws(JSONError) -> UnsafeRawBufferPointer {
        skipWhitespace()
        let start = position
        try skipValue()
        return unsafe source.slice(start..<position)
    }
}
