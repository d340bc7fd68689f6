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

    func admit(
        _ holder: String, _ policy: BudgetPolicy, now: Int64
    ) throws(BudgetBook.Refusal) {
        try state.withLock { state throws(BudgetBook.Refusal) in
            try state.book.admit(holder, policy, now: now)
        }
    }

    func charge(_ holder: String, _ policy: BudgetPolicy, cost: Int64, now: Int64) {
        state.withLock { state in
            state.book.charge(holder, policy, cost: cost, now: now)
            state.isChanged = true
        }
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
        let now = loop.epochSeconds(at: exchange.began)
        do throws(BudgetBook.Refusal) {
            for (holder, policy) in budgets(runtime) {
                try shared.budgets.admit(holder, policy, now: now)
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
        let input = Int64(clamping: usage.input).multipliedReportingOverflow(by: price.input)
        let output = Int64(clamping: usage.output).multipliedReportingOverflow(by: price.output)
        let (sum, overflow) = input.partialValue.addingReportingOverflow(output.partialValue)
        let cost = overflow || input.overflow || output.overflow ? Int64.max : sum
        let seconds = loop.epochSeconds(at: now)
        for (holder, policy) in budgets(runtime) {
            shared.budgets.charge(holder, policy, cost: cost, now: seconds)
        }
    }

    private func budgets(_ runtime: GatewayRuntime) -> [(String, BudgetPolicy)] {
        var found: [(String, BudgetPolicy)] = []
        if let key = exchange.key.map({ runtime.access.keys[$0] }), let policy = key.budget {
            found.append(("key '\(key.name)'", policy))
        }
        if let tenant = exchange.tenant(runtime),
            let policy = runtime.access.tenantBudgets[tenant]
        {
            found.append(("tenant '\(tenant)'", policy))
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
