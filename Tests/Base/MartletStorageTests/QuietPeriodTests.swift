// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletStorage
internal import Testing

@Suite("The quiet period")
struct QuietPeriodTests {
    func at(_ milliseconds: Int64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: milliseconds * 1_000_000)
    }

    @Test("a thing is stable when it was left alone for the period, counted from the last change")
    func quiet() {
        var quiet = QuietPeriod(.milliseconds(100))
        quiet.note("b", at: at(0))
        quiet.note("a", at: at(10))
        quiet.note("b", at: at(50))
        #expect(quiet.nextDeadline == at(110))
        #expect(quiet.takeStable(at: at(109)) == [])
        #expect(quiet.takeStable(at: at(110)) == ["a"])
        #expect(quiet.takeStable(at: at(149)) == [])
        #expect(quiet.nextDeadline == at(150))
        #expect(quiet.takeStable(at: at(150)) == ["b"])
        #expect(quiet.isEmpty)
        #expect(quiet.nextDeadline == nil)
    }

    @Test("a rename puts a thing in place at once, unless it was changing")
    func rename() {
        var quiet = QuietPeriod(.milliseconds(100))
        quiet.note("a", at: at(0), isWhole: true)
        #expect(quiet.takeStable(at: at(0)) == ["a"])
        quiet.note("b", at: at(0))
        quiet.note("b", at: at(10), isWhole: true)
        #expect(quiet.takeStable(at: at(100)) == [])
        #expect(quiet.takeStable(at: at(110)) == ["b"])
        quiet.note("c", at: at(200), isWhole: true)
        quiet.note("c", at: at(200))
        #expect(quiet.takeStable(at: at(200)) == [])
        #expect(quiet.takeStable(at: at(300)) == ["c"])
    }

    @Test("too many things at once become one look at everything")
    func overflow() {
        var quiet = QuietPeriod(.milliseconds(100), keysMax: 3)
        for key in ["a", "b", "c", "d"] { quiet.note(key, at: at(0)) }
        #expect(!quiet.isEmpty)
        let overflows = [quiet.takeOverflow(), quiet.takeOverflow()]
        #expect(overflows == [true, false])
        #expect(quiet.takeStable(at: at(1000)) == [])
    }
}
