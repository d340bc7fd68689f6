// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The one date form that HTTP senders may write (RFC 9110 §5.6.7): "Sun, 06 Nov 1994 08:49:37
/// GMT".
public enum HTTPDate {
    /// Seconds since the epoch, years 1970 to 9999.
    ///
    /// Algorithm: civil-from-days (Hinnant: chrono-compatible low-level date algorithms, 2013).
    public static func format(secondsSinceEpoch: Int64) -> [UInt8] {
        let seconds = Int(min(max(secondsSinceEpoch, 0), 253_402_300_799))
        let days = seconds / 86_400
        let rest = seconds % 86_400
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func two(_ value: Int) -> String { (value < 10 ? "0" : "") + String(value) }
        let date = "\(weekdays[days % 7]), \(two(day)) \(months[month - 1]) \(year) "
        let time = "\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60)) GMT"
        return Array((date + time).utf8)
    }

    /// The epoch was a Thursday.
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
}
