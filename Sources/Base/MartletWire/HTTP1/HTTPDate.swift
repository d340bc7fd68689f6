// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// The one date form that HTTP senders may write (RFC 9110 §5.6.7): "Sun, 06 Nov 1994 08:49:37
/// GMT".
public enum HTTPDate {
    /// Seconds since the epoch, years 1970 to 9999.
    public static func format(secondsSinceEpoch: Int64) -> [UInt8] {
        let seconds = Int(min(max(secondsSinceEpoch, 0), 253_402_300_799))
        let days = seconds / 86_400
        let rest = seconds % 86_400
        let date = CivilDate(daysSinceEpoch: days)
        func two(_ value: Int) -> String { (value < 10 ? "0" : "") + String(value) }
        let dayText =
            "\(weekdays[days % 7]), \(two(date.day)) \(months[date.month - 1]) \(date.year) "
        let time = "\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60)) GMT"
        return Array((dayText + time).utf8)
    }

    /// The epoch was a Thursday.
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
}
