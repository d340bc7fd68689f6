// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import Testing

@Suite("Byte budget")
struct ByteBudgetTests {
    @Test("takes what fits, all of it or nothing")
    func takes() {
        let budget = ByteBudget(byteCountMax: 10)
        #expect(budget.take(6))
        #expect(!budget.take(5))
        #expect(budget.byteCount == 6)
        #expect(budget.take(4))
        #expect(!budget.take(1))
        budget.giveBack(6)
        #expect(budget.take(6))
        budget.giveBack(10)
        #expect(budget.byteCount == 0)
    }

    @Test("a share that cannot grow stays as it is")
    func changes() {
        let budget = ByteBudget(byteCountMax: 10)
        #expect(budget.change(from: 0, to: 8))
        #expect(!budget.change(from: 8, to: 11))
        #expect(budget.byteCount == 8)
        #expect(budget.change(from: 8, to: 3))
        #expect(budget.byteCount == 3)
    }

    @Test("is never passed by many at a time")
    func together() async {
        let budget = ByteBudget(byteCountMax: 100)
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var isWithin = true
                    for turn in 0..<5_000 where budget.take(1 + turn % 60) {
                        // What the others try and fail to take is in the count for a moment.
                        isWithin = isWithin && budget.byteCount <= 100 + 3 * 60
                        budget.giveBack(1 + turn % 60)
                    }
                    return isWithin
                }
            }
            for await isWithin in group { #expect(isWithin) }
        }
        #expect(budget.byteCount == 0)
    }
}
