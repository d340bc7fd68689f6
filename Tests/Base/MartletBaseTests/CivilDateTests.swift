// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import Testing

@Suite("Civil date")
struct CivilDateTests {
    @Test("knows days before and after the epoch, and leap years")
    func days() {
        func date(_ days: Int) -> [Int] {
            let date = CivilDate(daysSinceEpoch: days)
            return [date.year, date.month, date.day]
        }
        #expect(date(0) == [1970, 1, 1])
        #expect(date(-1) == [1969, 12, 31])
        #expect(date(59) == [1970, 3, 1])
        #expect(date(11_016) == [2000, 2, 29])
        #expect(date(11_017) == [2000, 3, 1])
        #expect(date(-25_509) == [1900, 2, 28])
        #expect(date(-25_508) == [1900, 3, 1])
        #expect(date(20_778) == [2026, 11, 21])
        #expect(date(2_932_896) == [9999, 12, 31])
        #expect(date(-719_528) == [0, 1, 1])
    }

    @Test("each day follows the last")
    func order() {
        var last = CivilDate(daysSinceEpoch: -150_000)
        for days in -149_999...150_000 {
            let next = CivilDate(daysSinceEpoch: days)
            let isNextDay = next.day == last.day + 1 && next.month == last.month
            let isNextMonth = next.day == 1 && next.month == last.month % 12 + 1 && last.day >= 28
            if !(isNextDay || isNextMonth) { Issue.record("\(next) after \(last)") }
            last = next
        }
    }
}
