// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletResilience
internal import Testing

@Suite("Outlier ejection")
struct OutlierEjectionTests {
    private func instant(_ seconds: Int) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: Int64(seconds) * 1_000_000_000)
    }

    @Test("five failures in a row take an upstream out, longer each time")
    func inRow() {
        var ejection = OutlierEjection(upstreams: 2, at: instant(0))
        for _ in 0..<4 { #expect(ejection.record(0, isSuccess: false, at: instant(1)) == false) }
        ejection.record(0, isSuccess: true, at: instant(1))
        for _ in 0..<4 { #expect(ejection.record(0, isSuccess: false, at: instant(1)) == false) }
        #expect(ejection.record(0, isSuccess: false, at: instant(1)) == true)
        #expect(ejection.isEjected(0))
        ejection.advance(to: instant(30))
        #expect(ejection.isEjected(0))
        ejection.advance(to: instant(31))
        #expect(!ejection.isEjected(0))
        for _ in 0..<5 { ejection.record(0, isSuccess: false, at: instant(31)) }
        ejection.advance(to: instant(60))
        #expect(ejection.isEjected(0))
    }

    @Test("never more than the allowed share is out, and a lone upstream never")
    func share() {
        var ejection = OutlierEjection(upstreams: 4, at: instant(0))
        for upstream in 0..<4 {
            for _ in 0..<10 { ejection.record(upstream, isSuccess: false, at: instant(1)) }
        }
        #expect(ejection.ejectedCount == 2)
        var alone = OutlierEjection(upstreams: 1, at: instant(0))
        for _ in 0..<10 { alone.record(0, isSuccess: false, at: instant(1)) }
        #expect(!alone.isEjected(0))
    }

    @Test("one that fails far more often than the others is taken out at the interval's end")
    func comparison() {
        var ejection = OutlierEjection(upstreams: 6, at: instant(0))
        for round in 0..<100 {
            for upstream in 0..<6 {
                let isSuccess = upstream == 3 ? round % 3 != 0 : round % 50 != 0
                ejection.record(upstream, isSuccess: isSuccess, at: instant(1))
            }
        }
        #expect(ejection.ejectedCount == 0)
        ejection.advance(to: instant(10))
        #expect((0..<6).filter { ejection.isEjected($0) } == [3])
    }
}
