// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import NIOCore

/// What a request waits for at the shared state.
enum StateQuestion {
    case budgets(version: Int)
    case limits(LimitDemand, version: Int)
    /// Those of a model that stands in.
    case fallback(LimitDemand)
    case cache
}

extension ClientConnection: SharedStateUser {
    /// Asks the limits; goes on at once, or when they have answered.
    func askLimits(_ demand: LimitDemand, version: Int, _ runtime: GatewayRuntime) {
        exchange.attemptNumber &+= 1
        let admission = loop.state.admit(
            demand, at: exchange.began, for: self, number: exchange.attemptNumber)
        guard let admission = take(admission, version, runtime) else { return }
        _ = consume admission
        asking = .limits(demand, version: version)
        waitForState()
    }

    /// nil: the request has gone on, or has been refused.
    private func take(
        _ admission: consuming Admission, _ version: Int, _ runtime: GatewayRuntime
    ) -> Admission? {
        switch consume admission {
        case .admitted(let admitted):
            holds = consume admitted
            proceed(version, runtime)
            return nil
        case .refused(let refusal):
            refuse(refusal)
            return nil
        case .asked: return .asked
        }
    }

    func waitForState() {
        exchange.stage = .waiting
        let until = shared.time.now().advanced(by: loop.state.wait)
        wait(.attempt, until: min(until, exchange.deadline.instant))
    }

    /// The shared state takes too long. False when nothing is asked of it.
    func stateIsLate() -> Bool {
        guard let question = asking else { return false }
        asking = nil
        loop.state.isLate()
        exchange.attemptNumber &+= 1
        switch question {
        case .budgets(let version):
            if let runtime = exchange.runtime { admitWithinBudget(version, runtime) }
        case .limits(let demand, let version): goByShare(demand, version)
        case .fallback(let demand): goByShare(fallback: demand)
        case .cache: missed()
        }
        return true
    }

    private func goByShare(_ demand: LimitDemand, _ version: Int) {
        guard let runtime = exchange.runtime else { return }
        let admission = loop.state.admitByShare(demand, at: shared.time.now())
        _ = take(admission, version, runtime)
    }

    /// Asks what has been spent of the request's budgets; false when there is nobody to ask.
    func asksBudgets(_ version: Int, _ runtime: GatewayRuntime) -> Bool {
        guard runtime.access.hasBudgets else { return false }
        let budgets = budgets(runtime, at: exchange.began)
        exchange.attemptNumber &+= 1
        guard !budgets.isEmpty,
            loop.state.askSpent(budgets, for: self, number: exchange.attemptNumber)
        else { return false }
        asking = .budgets(version: version)
        waitForState()
        return true
    }

    func budgetsHaveAnswered(_ number: UInt64) {
        guard number == exchange.attemptNumber, exchange.stage == .waiting, isInRequest,
            case .budgets(let version)? = asking, let runtime = exchange.runtime
        else { return }
        asking = nil
        waitForNothing()
        admitWithinBudget(version, runtime)
    }

    func limitsHaveAnswered(_ answer: LimitAnswer, _ number: UInt64) -> Bool {
        guard number == exchange.attemptNumber, exchange.stage == .waiting, isInRequest,
            let question = asking, let runtime = exchange.runtime
        else { return false }
        if case .fallback(let demand) = question {
            fallbackLimitsHaveAnswered(answer, demand)
            return true
        }
        guard case .limits(let demand, let version) = question else { return false }
        asking = nil
        waitForNothing()
        switch answer {
        case .admitted(let hold):
            holds = RequestHolds(local: nil, shared: hold)
            proceed(version, runtime)
        case .refused(let refusal): refuse(refusal)
        case .unavailable: goByShare(demand, version)
        }
        return true
    }

    func sharedCacheHasAnswered(_ answer: CachedAnswer?, age: Duration, _ number: UInt64) {
        guard number == exchange.attemptNumber, exchange.stage == .waiting, isInRequest,
            case .cache? = asking
        else { return }
        asking = nil
        waitForNothing()
        if let answer, takeShared(answer, age: age) { return }
        missed()
    }

    // MARK: Models that stand in

    /// Turns to a model that stands in, within its own limits: the request holds them too. False
    /// when they refuse.
    func takeFallback(_ version: Int, _ model: Int, _ runtime: GatewayRuntime) -> Bool {
        let now = shared.time.now()
        giveFallbackBack(at: now)
        if let limiter = runtime.modelLimiters[model] {
            let demand = LimitDemand(
                model: limiter, inputTokens: exchange.inputEstimate,
                outputTokens: exchange.outputTokensMax)
            exchange.attemptNumber &+= 1
            let admission = loop.state.admit(
                demand, at: now, for: self, number: exchange.attemptNumber)
            switch consume admission {
            case .admitted(let admitted): fallbackHolds = consume admitted
            case .refused:
                loop.metrics.limited += 1
                return false
            case .asked:
                choose(version, runtime)
                asking = .fallback(demand)
                waitForState()
                return true
            }
        }
        choose(version, runtime)
        askFallback()
        return true
    }

    private func askFallback() {
        loop.metrics.fallbacks += 1
        attempt(isFirst: true)
    }

    private func goByShare(fallback demand: LimitDemand) {
        switch loop.state.admitByShare(demand, at: shared.time.now()) {
        case .admitted(let admitted):
            fallbackHolds = consume admitted
            askFallback()
        case .refused: fallbackIsRefused()
        case .asked: fallbackIsRefused()
        }
    }

    private func fallbackLimitsHaveAnswered(_ answer: LimitAnswer, _ demand: LimitDemand) {
        asking = nil
        waitForNothing()
        switch answer {
        case .admitted(let hold):
            fallbackHolds = RequestHolds(local: nil, shared: hold)
            askFallback()
        case .refused: fallbackIsRefused()
        case .unavailable: goByShare(fallback: demand)
        }
    }

    private func fallbackIsRefused() {
        loop.metrics.limited += 1
        if turnToFallback() { return }
        giveUp(
            exchange.lastFailure
                ?? AttemptFailure(.nobody, "the models that stand in are at their limits"))
    }

    /// The model that stood in has not answered either.
    private func giveFallbackBack(at now: MonotonicInstant) {
        guard let held = fallbackHolds.take() else { return }
        loop.state.settle(held, usedTokens: 0, at: now)
    }

    private func missed() {
        loop.metrics.cacheMisses += 1
        beginAttempts()
    }
}
