// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Charges on their way to where replicas add them up: one batch at a time for each budget. A batch
/// of which nobody knows whether it arrived is sent again under its number, and counts once there.
/// A value; O(1) for each charge.
package struct BudgetCharges: Sendable {
    /// What is to be added to a budget. Whoever adds it passes over numbers that are not above the
    /// last that came from here for the same budget.
    package struct Batch: Sendable, Hashable {
        package var budget: String
        package var number: Int64
        package var cost: Int64
    }

    private struct Account: Sendable {
        var sent: Batch?
        var isUnderWay = false
        var waiting: Int64 = 0
    }

    private var accounts: [String: Account] = [:]
    private var lastNumber: Int64 = 0
    /// No budget is as large.
    private static let costMax = Int64(1) << 60

    package init() {}

    package var isEmpty: Bool { accounts.isEmpty }

    /// - Returns: the batch to send now, if any.
    package mutating func add(_ cost: Int64, to budget: String) -> Batch? {
        guard cost > 0 else { return nil }
        var account = accounts[budget] ?? Account()
        let (sum, overflow) = account.waiting.addingReportingOverflow(cost)
        account.waiting = overflow ? BudgetCharges.costMax : min(sum, BudgetCharges.costMax)
        accounts[budget] = account
        return account.sent == nil ? next(budget) : nil
    }

    private mutating func next(_ budget: String) -> Batch? {
        guard var account = accounts[budget], account.waiting > 0 else {
            accounts[budget] = nil
            return nil
        }
        lastNumber += 1
        let batch = Batch(budget: budget, number: lastNumber, cost: account.waiting)
        account.waiting = 0
        account.sent = batch
        account.isUnderWay = true
        accounts[budget] = account
        return batch
    }

    /// A batch has been added.
    /// - Returns: the one that follows it, if any.
    package mutating func hasArrived(_ batch: Batch) -> Batch? {
        guard accounts[batch.budget]?.sent == batch else { return nil }
        accounts[batch.budget]?.sent = nil
        accounts[batch.budget]?.isUnderWay = false
        return next(batch.budget)
    }

    /// Nobody knows whether a batch has arrived; it waits for `sendAgain`.
    package mutating func isLost(_ batch: Batch) {
        guard accounts[batch.budget]?.sent == batch else { return }
        accounts[batch.budget]?.isUnderWay = false
    }

    /// The batches to send once somebody listens again.
    package mutating func sendAgain() -> [Batch] {
        var batches: [Batch] = []
        for (budget, account) in accounts {
            guard let sent = account.sent, !account.isUnderWay else { continue }
            accounts[budget]?.isUnderWay = true
            batches.append(sent)
        }
        return batches.sorted { $0.number < $1.number }
    }
}
