// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletJSON

extension MemberScanner.Member {
    /// The value as a text, when it is one.
    package var string: String? {
        guard text.count >= 2, text[0] == UInt8(ascii: "\"") else { return nil }
        if !text.contains(UInt8(ascii: "\\")) {
            let inside = text[1..<text.count - 1]
            return String(validating: inside, as: UTF8.self)
        }
        return (try? JSONValue(parsing: text))?.stringValue
    }

    package var isTrue: Bool { text == Array("true".utf8) }

    /// The value as a count, however a lenient reader may take it: `2000`, `2e3`, `2000.0` and
    /// `"2000"` are the same. Below zero is without an end, as some servers have it; what no type
    /// holds is the largest there is. Nil for anything else.
    package var count: Int? {
        // Too long to be kept.
        guard let first = text.first else { return .max }
        if first &- UInt8(ascii: "0") <= 9, text.count <= 18 {
            var number = 0
            for byte in text {
                let digit = byte &- UInt8(ascii: "0")
                guard digit <= 9 else { return uncommonCount }
                number = number * 10 + Int(digit)
            }
            return number
        }
        return uncommonCount
    }

    private var uncommonCount: Int? {
        var text = text[...]
        if text.first == UInt8(ascii: "\""), text.count > 2 { text = text.dropFirst().dropLast() }
        guard let first = text.first, first == UInt8(ascii: "-") || first &- UInt8(ascii: "0") <= 9,
            let number = Double(String(decoding: text, as: UTF8.self)), !number.isNaN
        else { return nil }
        guard number >= 0 else { return .max }
        return Int(exactly: number.rounded(.up)) ?? .max
    }

    package var json: JSONValue? { text.isEmpty ? nil : try? JSONValue(parsing: text) }
}
