// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletYAML

extension GatewayConfigurationReader {
    /// `budget: {amount: 25, per: month}` of a key or a tenant.
    func readBudget(_ parent: ConfigurationSection) -> BudgetPolicy? {
        guard let node = parent["budget"],
            let section = ConfigurationSection(node, "budget of \(parent.name)", problems)
        else { return nil }
        section.allow(["amount", "per"])
        guard section["amount"] != nil else {
            problems.add("\(section.name) has no amount", at: node.position)
            return nil
        }
        var amount = -1.0
        section.number("amount", 0...1e6, &amount)
        guard amount >= 0 else { return nil }
        var period = BudgetPolicy.Period.month
        switch section["per"]?.text {
        case nil, "month": break
        case "day": period = .day
        default:
            var time = Duration.zero
            section.duration("per", &time)
            let seconds = time.nanosecondsSaturating / 1_000_000_000
            if seconds < 1, let node = section["per"] {
                section.wrong("per", "day, month, or a time of a second or more", node)
            }
            period = .seconds(max(seconds, 1))
        }
        return BudgetPolicy(amount: Int64((amount * 1e12).rounded()), period: period)
    }
}
