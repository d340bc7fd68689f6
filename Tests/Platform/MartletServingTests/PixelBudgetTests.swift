// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletServing
internal import Synchronization
internal import Testing

@Suite("Pixel budget")
struct PixelBudgetTests {
    /// Takes leases on a thread of its own, and says when it has each.
    private final class Taker: Sendable {
        private let leases = Mutex<[PixelLease]>([])

        init(_ budget: PixelBudget, _ pixels: [Int]) throws {
            try NativeThread.start(name: "taker") { [self] in
                for count in pixels {
                    let lease = budget.take(count)
                    leases.withLock { $0.append(lease) }
                }
            }
        }

        func has(_ count: Int) -> Bool {
            for _ in 0..<5_000 {
                if leases.withLock({ $0.count >= count }) { return true }
                usleep(1_000)
            }
            return false
        }

        var count: Int { leases.withLock { $0.count } }
        func giveBack() { leases.withLock { $0.removeAll() } }
    }

    @Test("who finds no room waits until a lease is given back")
    func waits() throws {
        let budget = PixelBudget(pixelsMax: 100)
        let first = try Taker(budget, [60, 40])
        #expect(first.has(2))
        let second = try Taker(budget, [1])
        usleep(20_000)
        #expect(second.count == 0)
        first.giveBack()
        #expect(second.has(1))
    }

    @Test("what is larger than the whole goes alone")
    func alone() throws {
        let budget = PixelBudget(pixelsMax: 100)
        let small = try Taker(budget, [1])
        #expect(small.has(1))
        let large = try Taker(budget, [1_000])
        usleep(20_000)
        #expect(large.count == 0)
        small.giveBack()
        #expect(large.has(1))
        let next = try Taker(budget, [1])
        usleep(20_000)
        #expect(next.count == 0)
        large.giveBack()
        #expect(next.has(1))
    }
}
