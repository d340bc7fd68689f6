// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway

/// What the replicas of a gateway agree on: limits, and kept answers. Lives on one event loop;
/// never makes a request wait longer than its bound.
protocol SharedState: AnyObject {
    /// Asks the limits of a request, all or none.
    ///
    /// - Returns: the answer, or `.asked`: then it comes to `client` with `number`, once, unless
    ///   the client says `givesUp` first.
    func admit(
        _ demand: LimitDemand, at now: MonotonicInstant, for client: any SharedStateUser,
        number: UInt64
    ) -> Admission

    /// The request is over and used so many tokens.
    func settle(_ holds: consuming RequestHolds, usedTokens: Int, at now: MonotonicInstant)

    /// The answer to the limits took too long: goes by this replica's share. What comes later is
    /// given back.
    func admitByShare(_ demand: LimitDemand, at now: MonotonicInstant) -> Admission

    /// Looks for an answer that another replica has kept; false: there is none to be had now.
    func find(_ key: CacheKey, for client: any SharedStateUser, number: UInt64) -> Bool

    /// Keeps an answer for the other replicas.
    func keep(_ key: CacheKey, _ answer: CachedAnswer, for time: Duration)

    /// Asks what the holders of budgets have spent, all replicas together; the ledger learns it
    /// before the client hears. False: there is nobody to ask now.
    func askSpent(
        _ budgets: [HeldBudget], for client: any SharedStateUser, number: UInt64
    ) -> Bool

    /// Charges for all replicas; false when this one is alone.
    func charge(_ budget: HeldBudget, cost: Int64) -> Bool

    /// How many divide what is left of budgets: 1 while what all spend is known.
    var budgetShares: Int { get }

    /// An answer was not there in time.
    func isLate()

    /// How long a request waits.
    var wait: Duration { get }
}

/// Who asks the shared state. Called on its event loop.
protocol SharedStateUser: AnyObject {
    /// - Returns: false when nobody waits any more: what was admitted is given back.
    func limitsHaveAnswered(_ answer: LimitAnswer, _ number: UInt64) -> Bool
    func budgetsHaveAnswered(_ number: UInt64)
    func sharedCacheHasAnswered(_ answer: CachedAnswer?, age: Duration, _ number: UInt64)
}

/// What a request wants of its key's, its tenant's and its model's limits.
struct LimitDemand {
    var key: Limiter?
    var tenant: Limiter?
    var model: Limiter?
    var inputTokens: Int
    /// nil: as each limit reserves.
    var outputTokens: Int?

    var isEmpty: Bool { key == nil && tenant == nil && model == nil }
    var limiters: [Limiter] { [key, tenant, model].compactMap { $0 } }

    /// What is reserved at a limit.
    func tokens(at limiter: Limiter) -> Int {
        let output = outputTokens ?? limiter.policy.reservedOutput
        let (sum, overflow) = inputTokens.addingReportingOverflow(output)
        return overflow ? Int.max : sum
    }
}

enum LimitAnswer {
    case admitted(SharedHold)
    case refused(LimitRefusal)
    /// Nobody could say; ask `admitByShare`.
    case unavailable
}

enum Admission: ~Copyable {
    case admitted(RequestHolds)
    case refused(LimitRefusal)
    case asked
}

/// What a request holds where the replicas agree.
struct SharedHold {
    var limits: [(limiter: Limiter, reserved: Int)]
    /// Admitted by this replica's share, and owed to the shared state.
    var isShare = false
}

/// What a request holds, here and there.
struct RequestHolds: ~Copyable {
    var local: LimitHolds?
    var shared: SharedHold?
}

/// The shared state of a gateway that is alone: its own.
final class InProcessState: SharedState {
    let wait = Duration.zero

    func admit(
        _ demand: LimitDemand, at now: MonotonicInstant, for client: any SharedStateUser,
        number: UInt64
    ) -> Admission {
        admitByShare(demand, at: now)
    }

    func admitByShare(_ demand: LimitDemand, at now: MonotonicInstant) -> Admission {
        do throws(LimitRefusal) {
            return .admitted(
                RequestHolds(local: try LimitHolds(demand, at: now), shared: nil))
        } catch { return .refused(error) }
    }

    func settle(
        _ holds: consuming RequestHolds, usedTokens: Int, at now: MonotonicInstant
    ) {
        holds.local?.settle(usedTokens: usedTokens, at: now)
    }

    func find(_ key: CacheKey, for client: any SharedStateUser, number: UInt64) -> Bool { false }
    func keep(_ key: CacheKey, _ answer: CachedAnswer, for time: Duration) {}
    func isLate() {}

    func askSpent(
        _ budgets: [HeldBudget], for client: any SharedStateUser, number: UInt64
    ) -> Bool { false }
    func charge(_ budget: HeldBudget, cost: Int64) -> Bool { false }
    let budgetShares = 1
}
