// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire

/// Asks a small model first, and a larger one when the small one's answer is not sure of itself.
extension ClientConnection {
    /// The version that the request begins with. A cascade's first version is asked only for
    /// requests that are held whole, because they may have to be sent again.
    func beginCascade(_ version: Int, _ runtime: GatewayRuntime) -> Int {
        let tables = runtime.snapshot.tables
        guard let cascade = tables.models[tables.versions[version].model].cascade,
            version == cascade.first
        else { return version }
        guard exchange.isBodyComplete, exchange.isReplayable, !exchange.isGRPC, isRepeatable()
        else {
            return cascade.then
        }
        exchange.cascade = CascadeTurn(
            then: cascade.then, policy: cascade.policy,
            limit: exchange.began.advanced(by: cascade.policy.timeout), body: exchange.body)
        if let asking = CascadeRequest.asking(
            exchange.body, for: cascade.policy.measure, path: knownPath)
        {
            exchange.body = asking
            exchange.bodyBytes = asking.count
        }
        return version
    }

    /// The small model's answer is whole: true when it will do.
    func isSureEnough(_ turn: CascadeTurn) -> Bool {
        guard exchange.status == 200, !(exchange.isEventStream && exchange.events.hasFailed),
            let answer = turn.answer.answer(from: exchange.began, to: shared.time.now()),
            let confidence = AnswerConfidence.of(answer, by: turn.policy.measure)
        else { return false }
        return confidence >= turn.policy.least
    }

    /// Keeps the small model's answer. Longer ones than are judged go on as they come.
    func acceptCascade() {
        loop.metrics.cascadesKept += 1
        exchange.cascade = nil
    }

    /// Turns to the larger model; what the small one has used is accounted for.
    func escalate(_ turn: CascadeTurn) {
        guard let runtime = exchange.runtime else { return }
        exchange.cascade = nil
        loop.metrics.cascadesEscalated += 1
        let now = shared.time.now()
        let counters = loop.metrics.counters(exchange.version, runtime)
        counters.record(
            status: exchange.status == 0 ? 504 : exchange.status,
            nanoseconds: exchange.began.nanoseconds(to: now))
        if let used = usage() {
            counters.add(used)
            chargeBudgets(used, runtime, at: now)
            loop.account(
                exchange.key, exchange.version, tenant: exchange.identity?.tenant, runtime
            ).add(used, price: runtime.snapshot.tables.versions[exchange.version].price)
            exchange.usedBefore = exchange.usedBefore.addingSaturating(used.total)
        }
        exchange.held.removeAll(keepingCapacity: true)
        exchange.status = 0
        exchange.firstByte = nil
        exchange.answerBytes = 0
        exchange.isEventStream = false
        if exchange.events.eventCount > 0 { exchange.events.reset() }
        exchange.checksEvents = false
        exchange.readsUsage = false
        exchange.isCoded = false
        exchange.leavesOutUsage = false
        // Nothing of the small model's answer is kept or compared.
        exchange.semantic?.body.removeAll(keepingCapacity: true)
        exchange.body = turn.body
        exchange.bodyBytes = turn.body.count
        choose(turn.then, runtime)
        attempt(isFirst: true)
    }
}
