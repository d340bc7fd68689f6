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

    package var integer: Int? {
        guard !text.isEmpty, text.count <= 12 else { return nil }
        var number = 0
        for byte in text {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            number = number * 10 + Int(digit)
        }
        return number
    }

    package var json: JSONValue? { text.isEmpty ? nil : try? JSONValue(parsing: text) }
}
