// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Queries of addresses, read as forms write them (`application/x-www-form-urlencoded`).
package enum QueryText {
    /// The first value of that name; nil when it is not there.
    package static func value(of name: String, in query: some StringProtocol) -> String? {
        for pair in query.split(separator: "&") {
            let (found, value) = read(pair)
            if found == name { return value }
        }
        return nil
    }

    /// One `name=value`.
    static func read(_ pair: some StringProtocol) -> (name: String, value: String) {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (decoded(parts[0]), parts.count > 1 ? decoded(parts[1]) : "")
    }

    /// `+` is a space, `%41` a byte; what is no such escape stays as it stands.
    package static func decoded(
        _ text: some StringProtocol, plusIsSpace: Bool = true
    ) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") })
        else { return String(text) }
        var bytes: [UInt8] = []
        let given = Array(text.utf8)
        var place = 0
        while place < given.count {
            let byte = given[place]
            if byte == UInt8(ascii: "%"), place + 2 < given.count,
                let high = digit(given[place + 1]), let low = digit(given[place + 2])
            {
                bytes.append(high << 4 | low)
                place += 3
                continue
            }
            bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? 0x20 : byte)
            place += 1
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The value of a hexadecimal digit.
    static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
