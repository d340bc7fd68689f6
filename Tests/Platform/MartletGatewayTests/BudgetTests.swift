// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import Testing

@Suite("Budgets")
struct BudgetTests {
    /// 2026-01-31T23:59:50Z.
    private static let endOfMonth: Int64 = 1_769_903_990

    private func isAdmitted(_ book: BudgetBook, _ policy: BudgetPolicy, _ now: Int64) -> Bool {
        (try? book.admit("a", policy, now: now)) != nil
    }

    @Test("what is spent is refused until the next period begins")
    func periods() {
        let now = Self.endOfMonth
        for (period, wait) in [(BudgetPolicy.Period.day, 10), (.month, 10), (.seconds(7), 0)] {
            let policy = BudgetPolicy(amount: 100, period: period)
            var book = BudgetBook()
            book.charge("a", policy, cost: 99, now: now)
            #expect(isAdmitted(book, policy, now))
            book.charge("a", policy, cost: 2, now: now)
            #expect(!isAdmitted(book, policy, now) && book.spent("a", policy, now: now) == 101)
            #expect(book.spent("b", policy, now: now) == 0)
            do throws(BudgetBook.Refusal) {
                try book.admit("a", policy, now: now)
            } catch {
                if wait > 0 { #expect(error.wait == Int64(wait)) }
                #expect(!isAdmitted(book, policy, now + error.wait - 1))
                #expect(isAdmitted(book, policy, now + error.wait))
            }
        }
        var book = BudgetBook()
        let policy = BudgetPolicy(amount: 1, period: .month)
        book.charge("a", policy, cost: 5, now: now + 10)
        #expect(!isAdmitted(book, policy, now + 10 + 27 * 86_400))
        #expect(isAdmitted(book, policy, now + 10 + 28 * 86_400))
    }

    @Test("a book comes back from its file as it was; what is none is refused")
    func keeping() throws {
        let policy = BudgetPolicy(amount: 100, period: .day)
        var book = BudgetBook()
        book.charge("key 'a'", policy, cost: 12, now: 5)
        book.charge("key 'a'", policy, cost: .max, now: 5)
        book.charge("b", policy, cost: -4, now: 5)
        let text = book.json.serialized()
        #expect(BudgetBook(json: try JSONValue(parsing: text)) == book)
        for bad in [
            "{}", #"{"version": 2, "budgets": {}}"#, #"{"version": 1, "budgets": []}"#,
            #"{"version": 1, "budgets": {"a": {"period": 1, "spent": -1}}}"#,
            #"{"version": 1, "budgets": {"a": {"period": "1", "spent": 1}}}"#,
        ] {
            #expect(BudgetBook(json: try JSONValue(parsing: Array(bad.utf8))) == nil, "\(bad)")
        }
    }

    @Test(
        "what all have spent is learnt, in any order, and what is owed counts until it is settled")
    func replicas() {
        let policy = BudgetPolicy(amount: 100, period: .seconds(10))
        var book = BudgetBook()
        book.owe("a", policy, cost: 20, now: 5)
        #expect(book.spent("a", policy, now: 5) == 20 && isAdmitted(book, policy, 5))
        book.learn("a", period: 0, spent: 70, settled: 20)
        #expect(book.spent("a", policy, now: 5) == 70)
        book.learn("a", period: 0, spent: 30)
        #expect(book.spent("a", policy, now: 5) == 70, "an answer that was overtaken")
        book.owe("a", policy, cost: 12, now: 6)
        #expect((try? book.admit("a", policy, shares: 2, now: 6)) != nil)
        #expect((try? book.admit("a", policy, shares: 3, now: 6)) == nil, "its third is used up")
        #expect((try? book.admit("a", policy, shares: .max, now: 6)) == nil)
        book.learn("a", period: 1, spent: 1)
        #expect(book.spent("a", policy, now: 12) == 1)
        book.learn("a", period: 0, spent: 500)
        #expect(book.spent("a", policy, now: 12) == 1, "of a period that is over")
    }

    @Test("what was told lately counts as long as others may owe as much")
    func settling() throws {
        let policy = BudgetPolicy(amount: 100, period: .seconds(1000))
        var book = BudgetBook()
        book.learn("a", period: 0, spent: 40)
        book.owe("a", policy, cost: 30, now: 0)
        #expect((try? book.admit("a", policy, shares: 2, now: 0)) == nil)
        // Redis is back, and knows of this replica's 30 alone.
        book.learn("a", period: 0, spent: 70, settled: 30, isSettling: true)
        #expect(book.spent("a", policy, now: 0) == 70)
        #expect((try? book.admit("a", policy, shares: 2, now: 0)) == nil)
        book.endSettling()
        try book.admit("a", policy, shares: 1, now: 0)
        try book.admit("a", policy, shares: 2, now: 0)
    }
}

@Suite("Budget charges")
struct BudgetChargesTests {
    /// Redis, as its script adds charges up.
    private struct Sum {
        var spent: [String: Int64] = [:]
        var last: [String: Int64] = [:]

        mutating func add(_ batch: BudgetCharges.Batch) {
            guard batch.number > last[batch.budget] ?? 0 else { return }
            last[batch.budget] = batch.number
            spent[batch.budget, default: 0] += batch.cost
        }
    }

    @Test("every charge arrives once, whatever is lost on its way or on the way back")
    func once() {
        for seed in UInt64(1)...200 {
            var random = SeededRandom(seed: seed)
            var charges = BudgetCharges()
            var sum = Sum()
            var wanted: [String: Int64] = [:]
            var underWay: [BudgetCharges.Batch] = []
            func deliver(isReliable: Bool) {
                guard !underWay.isEmpty else { return }
                let place = Int.random(in: 0..<underWay.count, using: &random)
                let batch = underWay.remove(at: place)
                switch isReliable ? 2 : Int.random(in: 0..<6, using: &random) {
                case 0: charges.isLost(batch)
                case 1:
                    // It arrived, and the answer did not.
                    sum.add(batch)
                    charges.isLost(batch)
                default:
                    sum.add(batch)
                    if let next = charges.hasArrived(batch) { underWay.append(next) }
                }
            }
            for _ in 0..<400 {
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<5:
                    let budget = "b\(Int.random(in: 0..<3, using: &random))"
                    let cost = Int64.random(in: 0...1_000, using: &random)
                    wanted[budget, default: 0] += cost
                    if let batch = charges.add(cost, to: budget) { underWay.append(batch) }
                case 5: underWay += charges.sendAgain()
                default: deliver(isReliable: false)
                }
                #expect(Set(underWay.map(\.budget)).count == underWay.count, "one at a time")
            }
            while !charges.isEmpty {
                underWay += charges.sendAgain()
                deliver(isReliable: true)
            }
            #expect(sum.spent.filter { $0.value > 0 } == wanted.filter { $0.value > 0 }, "\(seed)")
        }
    }
}
