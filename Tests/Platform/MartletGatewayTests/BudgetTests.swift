// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

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
}
