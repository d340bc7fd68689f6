// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletJSON

extension ClientConnection {
    /// Who has used how much, and what is left of budgets.
    func usageReport(_ runtime: GatewayRuntime) -> JSONValue {
        let report = shared.ledger.json(currency: runtime.snapshot.tables.currency)
        guard runtime.access.hasBudgets, case .object(var members) = report else { return report }
        let now = loop.epochSeconds(at: exchange.began)
        var holders = runtime.access.keys.compactMap { key in
            key.budget.map { ("key '\(key.name)'", $0) }
        }
        holders += runtime.access.tenantBudgets.sorted { $0.key < $1.key }
            .map { ("tenant '\($0.key)'", $0.value) }
        members["budgets"] = .array(
            holders.map { holder, policy in
                let spent = shared.budgets.spent(holder, policy, now: now)
                return [
                    "holder": .string(holder), "amount": .number(Double(policy.amount) / 1e12),
                    "spent": .number(Double(spent) / 1e12),
                ]
            })
        return .object(members)
    }
}
