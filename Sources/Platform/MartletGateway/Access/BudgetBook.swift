// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
package import MartletJSON

/// How much money a holder may spend in a time.
package struct BudgetPolicy: Sendable, Hashable {
    package enum Period: Sendable, Hashable {
        /// In UTC.
        case day, month
        case seconds(Int64)

        /// The number of the period that a time is in.
        package func number(_ now: Int64) -> Int64 {
            switch self {
            case .day: return now / 86_400
            case .month:
                let date = CivilDate(daysSinceEpoch: Int(clamping: now / 86_400))
                return Int64(date.year * 12 + date.month - 1)
            case .seconds(let count): return now / max(count, 1)
            }
        }

        /// When the next one begins.
        package func next(_ now: Int64) -> Int64 {
            switch self {
            case .day: return (now / 86_400 + 1) * 86_400
            case .seconds(let count): return (now / max(count, 1) + 1) * max(count, 1)
            case .month:
                var day = now / 86_400
                let current = number(now)
                repeat { day += 1 } while number(day * 86_400) == current
                return day * 86_400
            }
        }
    }

    /// In millionths of a millionth of the currency's unit.
    package var amount: Int64
    package var period: Period

    package init(amount: Int64, period: Period) {
        self.amount = amount
        self.period = period
    }
}

/// Who has spent how much in the period that runs. A value; O(1).
///
/// What a request costs is known when it is over, so those that are under way when a budget runs
/// out are still answered: that is the most by which it is overspent.
///
/// Replicas that share budgets `learn` what all have spent and `owe` what the others have not been
/// told. While they hear nothing of each other, each may spend its part of what is left.
package struct BudgetBook: Sendable, Equatable {
    package struct Refusal: Error, Sendable, Hashable {
        package var holder: String
        /// Seconds until the next period.
        package var wait: Int64
    }

    private struct Entry: Sendable, Equatable {
        var period: Int64
        /// As far as is known, of all replicas.
        var spent: Int64 = 0
        /// Spent here, and not in what all know.
        var owed: Int64 = 0
        /// Owed until lately, while others may still owe as much.
        var told: Int64 = 0
    }

    private var entries: [String: Entry] = [:]

    package init() {}

    private func entry(_ holder: String, _ policy: BudgetPolicy, _ now: Int64) -> Entry {
        let period = policy.period.number(now)
        guard let entry = entries[holder], entry.period == period else {
            return Entry(period: period)
        }
        return entry
    }

    private static func sum(_ left: Int64, _ right: Int64) -> Int64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }

    /// - Parameter now: seconds since the epoch.
    package func spent(_ holder: String, _ policy: BudgetPolicy, now: Int64) -> Int64 {
        let entry = entry(holder, policy, now)
        return BudgetBook.sum(entry.spent, entry.owed)
    }

    /// - Parameter shares: the replicas that divide what is left; 1 when what all have spent is
    ///   known.
    package func admit(
        _ holder: String, _ policy: BudgetPolicy, shares: Int = 1, now: Int64
    ) throws(Refusal) {
        let entry = entry(holder, policy, now)
        let others = Int64(max(shares, 1)) - 1
        let here = BudgetBook.sum(entry.owed, entry.told)
        let (there, overflow) = here.multipliedReportingOverflow(by: others)
        let all = BudgetBook.sum(BudgetBook.sum(entry.spent, entry.owed), there)
        guard overflow || all >= policy.amount else { return }
        throw Refusal(holder: holder, wait: policy.period.next(now) - now)
    }

    package mutating func charge(
        _ holder: String, _ policy: BudgetPolicy, cost: Int64, now: Int64
    ) {
        var entry = entry(holder, policy, now)
        entry.spent = BudgetBook.sum(entry.spent, max(cost, 0))
        entries[holder] = entry
    }

    // MARK: Replicas

    /// What all have spent in a period, as far as is known, without what is owed.
    package func known(_ holder: String, period: Int64) -> Int64 {
        guard let entry = entries[holder], entry.period == period else { return 0 }
        return entry.spent
    }

    /// Charges what the others are still to be told.
    package mutating func owe(
        _ holder: String, _ policy: BudgetPolicy, cost: Int64, now: Int64
    ) {
        var entry = entry(holder, policy, now)
        entry.owed = BudgetBook.sum(entry.owed, max(cost, 0))
        entries[holder] = entry
    }

    /// All have spent so much in a period, `settled` of what was owed included. Answers may come
    /// in any order: spending never goes down.
    /// - Parameter isSettling: others may still owe their part of what was left.
    package mutating func learn(
        _ holder: String, period: Int64, spent: Int64, settled: Int64 = 0, isSettling: Bool = false
    ) {
        var entry = entries[holder] ?? Entry(period: period)
        guard entry.period <= period else { return }
        if entry.period < period { entry = Entry(period: period) }
        entry.spent = max(entry.spent, spent)
        if isSettling { entry.told = BudgetBook.sum(entry.told, min(settled, entry.owed)) }
        entry.owed = max(entry.owed - settled, 0)
        entries[holder] = entry
    }

    /// Every replica has told what it owed.
    package mutating func endSettling() {
        for holder in entries.keys { entries[holder]?.told = 0 }
    }

    // MARK: Keeping

    package var json: JSONValue {
        var holders = JSONObject()
        for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
            let spent = BudgetBook.sum(entry.spent, entry.owed)
            holders[name] = ["period": .integer(entry.period), "spent": .integer(spent)]
        }
        return ["version": 1, "budgets": .object(holders)]
    }

    /// Nil when it is no such book.
    package init?(json: JSONValue) {
        guard json["version"]?.intValue == 1, let holders = json["budgets"]?.objectValue else {
            return nil
        }
        for name in holders.keys {
            guard let entry = holders[name], let period = entry["period"]?.intValue,
                let spent = entry["spent"]?.intValue, spent >= 0
            else { return nil }
            entries[name] = Entry(period: Int64(period), spent: Int64(spent))
        }
    }
}
