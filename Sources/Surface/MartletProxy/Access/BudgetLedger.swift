// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import MartletGateway
internal import MartletJSON
internal import MartletStorage
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// A budget in the period that runs.
struct HeldBudget: Sendable, Hashable {
    var holder: String
    var policy: BudgetPolicy
    /// Seconds since the epoch.
    var now: Int64

    var period: Int64 { policy.period.number(now) }
    /// Seconds until it is of no use to anybody.
    var kept: Int64 { policy.period.next(now) - now + 86_400 }
}

/// What keys and tenants have spent of their budgets, shared by all event loops, and kept in a file
/// when there is one.
final class BudgetLedger: Sendable {
    private static let bytesMax = 64 << 20

    private struct State {
        var book = BudgetBook()
        var isChanged = false
    }

    let path: String?
    private let state = Mutex(State())

    /// - Throws: `ProxyError` when there is a file and it cannot be read: spending is not forgotten
    ///   in silence.
    init(path: String?) throws(ProxyError) {
        self.path = path
        guard let path, FileSystem.exists(path) else { return }
        let bytes: [UInt8]
        do {
            bytes = try FileSystem.readAll(path, limit: BudgetLedger.bytesMax)
        } catch { throw ProxyError(.badState, "budgets in '\(path)': \(error)") }
        guard let json = try? JSONValue(parsing: bytes), let book = BudgetBook(json: json) else {
            throw ProxyError(
                .badState, "'\(path)' holds no budgets; move it away to begin from nothing")
        }
        state.withLock { $0.book = book }
    }

    /// - Parameter shares: the replicas that divide what is left.
    func admit(_ budget: HeldBudget, shares: Int) throws(BudgetBook.Refusal) {
        try state.withLock { state throws(BudgetBook.Refusal) in
            try state.book.admit(budget.holder, budget.policy, shares: shares, now: budget.now)
        }
    }

    /// - Parameter isShared: other replicas are to be told.
    func charge(_ budget: HeldBudget, cost: Int64, isShared: Bool) {
        state.withLock { state in
            if isShared {
                state.book.owe(budget.holder, budget.policy, cost: cost, now: budget.now)
            } else {
                state.book.charge(budget.holder, budget.policy, cost: cost, now: budget.now)
            }
            state.isChanged = true
        }
    }

    /// Takes in what all replicas have spent, `settled` of what this one owed included.
    func learn(
        _ budget: HeldBudget, spent: Int64, settled: Int64 = 0, isSettling: Bool = false
    ) {
        state.withLock { state in
            state.book.learn(
                budget.holder, period: budget.period, spent: spent, settled: settled,
                isSettling: isSettling)
            state.isChanged = true
        }
    }

    /// Every replica has told what it owed.
    func endSettling() { state.withLock { $0.book.endSettling() } }

    /// What all are known to have spent, without what this replica owes.
    func known(_ budget: HeldBudget) -> Int64 {
        state.withLock { $0.book.known(budget.holder, period: budget.period) }
    }

    func spent(_ holder: String, _ policy: BudgetPolicy, now: Int64) -> Int64 {
        state.withLock { $0.book.spent(holder, policy, now: now) }
    }

    /// Writes what has changed since the last time, beside the file and then in its place.
    func save(_ logger: Logger) {
        guard let path else { return }
        let book = state.withLock { state -> BudgetBook? in
            defer { state.isChanged = false }
            return state.isChanged ? state.book : nil
        }
        guard let book else { return }
        do {
            var file = try FileReplacement(path: path)
            let bytes = book.json.serialized()
            try unsafe bytes.withUnsafeBytes { try unsafe file.append($0) }
            try file.commit()
        } catch {
            state.withLock { $0.isChanged = true }
            logger.error(
                "budgets could not be written", metadata: ["file": "\(path)", "reason": "\(error)"])
        }
    }
}

extension ClientConnection {
    /// Answers and returns false when the key or its tenant has spent its budget.
    func hasBudget(_ runtime: GatewayRuntime) -> Bool {
        let access = runtime.access
        guard access.hasBudgets else { return true }
        let shares = loop.state.budgetShares
        do throws(BudgetBook.Refusal) {
            for budget in budgets(runtime, at: exchange.began) {
                try shared.budgets.admit(budget, shares: shares)
            }
            return true
        } catch {
            loop.metrics.limited += 1
            fail(
                402, "budget_exceeded", "the budget of \(error.holder) is used up",
                retryAfter: .seconds(error.wait))
            return false
        }
    }

    /// Charges what the request cost.
    func chargeBudgets(_ usage: TokenUsage, _ runtime: GatewayRuntime, at now: MonotonicInstant) {
        guard runtime.access.hasBudgets,
            let price = runtime.snapshot.tables.versions[exchange.version].price
        else { return }
        let cost = price.cost(of: usage)
        for budget in budgets(runtime, at: now) {
            // On this event loop the answer cannot come before what it settles.
            let isShared = loop.state.charge(budget, cost: cost)
            shared.budgets.charge(budget, cost: cost, isShared: isShared)
        }
    }

    func budgets(_ runtime: GatewayRuntime, at instant: MonotonicInstant) -> [HeldBudget] {
        let now = loop.epochSeconds(at: instant)
        var found: [HeldBudget] = []
        if let key = exchange.key.map({ runtime.access.keys[$0] }), let policy = key.budget {
            found.append(HeldBudget(holder: "key '\(key.name)'", policy: policy, now: now))
        }
        if let tenant = exchange.tenant(runtime),
            let policy = runtime.access.tenantBudgets[tenant]
        {
            found.append(HeldBudget(holder: "tenant '\(tenant)'", policy: policy, now: now))
        }
        return found
    }
}

/// Has budgets written once a second, on a thread that may wait for the disk.
final class BudgetKeeper {
    private let loop: ProxyLoop

    init(_ loop: ProxyLoop) { self.loop = loop }

    func start() {
        guard loop.shared.budgets.path != nil else { return }
        loop.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { [self] in
            let shared = loop.shared
            NIOThreadPool.singleton.submit { _ in shared.budgets.save(shared.logger) }
            if !loop.shared.isDraining { start() }
        }
    }
}
