// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// The `grpc-timeout` header: at most eight digits and a unit.
package enum GRPCTimeout {
    /// The duration that `text` stands for; nil when it is malformed.
    package static func parse(_ text: String) -> Duration? {
        let bytes = text.utf8
        guard let unit = bytes.last, bytes.count >= 2, bytes.count <= 9 else { return nil }
        var value: Int64 = 0
        for byte in bytes.dropLast() {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        switch unit {
        case UInt8(ascii: "H"): return .seconds(value * 3_600)
        case UInt8(ascii: "M"): return .seconds(value * 60)
        case UInt8(ascii: "S"): return .seconds(value)
        case UInt8(ascii: "m"): return .milliseconds(value)
        case UInt8(ascii: "u"): return .microseconds(value)
        case UInt8(ascii: "n"): return .nanoseconds(value)
        default: return nil
        }
    }
}

extension GRPCTimeout {
    /// The header as text: in the finest unit that eight digits have room for, never more than the
    /// duration.
    package static func text(_ duration: Duration) -> String {
        let nanoseconds = max(duration.nanosecondsSaturating, 0)
        let microseconds = nanoseconds / 1_000
        if microseconds <= 99_999_999 { return "\(microseconds)u" }
        let milliseconds = microseconds / 1_000
        if milliseconds <= 99_999_999 { return "\(milliseconds)m" }
        return "\(min(milliseconds / 1_000, 99_999_999))S"
    }
}
