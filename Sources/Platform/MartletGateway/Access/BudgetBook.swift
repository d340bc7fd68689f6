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
        func number(_ now: Int64) -> Int64 {
            switch self {
            case .day: return now / 86_400
            case .month:
                let date = CivilDate(daysSinceEpoch: Int(clamping: now / 86_400))
                return Int64(date.year * 12 + date.month - 1)
            case .seconds(let count): return now / max(count, 1)
            }
        }

        /// When the next one begins.
        func next(_ now: Int64) -> Int64 {
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
package struct BudgetBook: Sendable, Equatable {
    package struct Refusal: Error, Sendable, Hashable {
        package var holder: String
        /// Seconds until the next period.
        package var wait: Int64
    }

    private struct Entry: Sendable, Equatable {
        var period: Int64
        var spent: Int64
    }

    private var entries: [String: Entry] = [:]

    package init() {}

    /// - Parameter now: seconds since the epoch.
    package func spent(_ holder: String, _ policy: BudgetPolicy, now: Int64) -> Int64 {
        guard let entry = entries[holder], entry.period == policy.period.number(now) else {
            return 0
        }
        return entry.spent
    }

    package func admit(
        _ holder: String, _ policy: BudgetPolicy, now: Int64
    ) throws(Refusal) {
        guard spent(holder, policy, now: now) >= policy.amount else { return }
        throw Refusal(holder: holder, wait: policy.period.next(now) - now)
    }

    package mutating func charge(
        _ holder: String, _ policy: BudgetPolicy, cost: Int64, now: Int64
    ) {
        let (sum, overflow) = spent(holder, policy, now: now)
            .addingReportingOverflow(max(cost, 0))
        entries[holder] = Entry(
            period: policy.period.number(now), spent: overflow ? .max : sum)
    }

    // MARK: Keeping

    package var json: JSONValue {
        var holders = JSONObject()
        for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
            holders[name] = ["period": .integer(entry.period), "spent": .integer(entry.spent)]
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
