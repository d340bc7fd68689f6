// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway

/// Budgets that replicas spend together. Each charge is added in Redis once, and each request asks
/// for the sum before it is let in. While Redis is away a replica may spend its part of what was
/// left, and tells the others when it is back.
extension RedisState {
    private static let chargedMax = 4_096

    private func key(_ budget: HeldBudget) -> String {
        "\(link.configuration.prefix):{state}:budget:\(budget.holder):\(budget.period)"
    }

    /// Replicas try again within a second; each may have spent its part of a budget until then.
    static let settlingTime = Duration.milliseconds(1_500)

    var budgetShares: Int {
        // Asked first: what was told long ago must not count when Redis goes away again.
        let isSettling = isSettling
        if link.isReady, !isSettling { return 1 }
        return max(link.configuration.replicas ?? link.replicaCount, 1)
    }

    /// Whether others may still have to tell what they spent while Redis was away.
    private var isSettling: Bool {
        guard let settledFrom else { return false }
        if loop.shared.time.now() < settledFrom { return true }
        self.settledFrom = nil
        loop.shared.budgets.endSettling()
        return false
    }

    func askSpent(
        _ budgets: [HeldBudget], for client: any SharedStateUser, number: UInt64
    ) -> Bool {
        let arguments = budgets.flatMap { [loop.shared.budgets.known($0), $0.kept] }
        return link.script(
            .spent, keys: budgets.map { Array(key($0).utf8) },
            arguments.map { Array("\($0)".utf8) }
        ) { [loop] reply in
            if let list = reply?.list, list.count == budgets.count {
                for (budget, spent) in zip(budgets, list) {
                    guard let spent = RedisState.number(spent) else { continue }
                    loop.shared.budgets.learn(budget, spent: spent)
                }
            }
            client.budgetsHaveAnswered(number)
        }
    }

    func charge(_ budget: HeldBudget, cost: Int64) -> Bool {
        let name = key(budget)
        // Short periods while Redis is away for long: this replica alone remembers the rest.
        guard charged[name] != nil || charged.count < RedisState.chargedMax else { return true }
        charged[name] = budget
        if let batch = charges.add(cost, to: name) { send(batch) }
        return true
    }

    func send(_ batch: BudgetCharges.Batch) {
        guard let budget = charged[batch.budget] else { return }
        let known = loop.shared.budgets.known(budget)
        let arguments = [batch.number, batch.cost, known, budget.kept].map { Array("\($0)".utf8) }
        let isAsked = link.script(
            .charge, keys: [Array(batch.budget.utf8)], [me] + arguments
        ) { [weak self] reply in self?.hasAnswered(batch, budget, reply) }
        if !isAsked { charges.isLost(batch) }
    }

    private func hasAnswered(
        _ batch: BudgetCharges.Batch, _ budget: HeldBudget, _ reply: RESPValue?
    ) {
        guard let spent = reply.flatMap(RedisState.number) else { return charges.isLost(batch) }
        loop.shared.budgets.learn(
            budget, spent: spent, settled: batch.cost, isSettling: isSettling)
        if let next = charges.hasArrived(batch) {
            send(next)
        } else {
            charged[batch.budget] = nil
        }
    }

    private static func number(_ reply: RESPValue) -> Int64? {
        reply.bytes.flatMap { Int64(String(decoding: $0, as: UTF8.self)) }.map { max($0, 0) }
    }
}
