// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import MartletWire
internal import NIOCore

/// Waiting for a place in a pool that has all the requests that it may have.
extension ClientConnection {
    /// No attempt can be made now.
    func hasNotBegun(_ beginning: PoolRuntime.Beginning, _ pool: PoolRuntime, _ member: Int?) {
        switch beginning {
        case .attempt: return
        case .full: queue(pool, member)
        case .nobody:
            attemptHasFailed(
                AttemptFailure(
                    .nobody, "nobody of pool '\(pool.name)' can be asked now",
                    retryAfter: .seconds(1)))
        }
    }

    private func queue(_ pool: PoolRuntime, _ member: Int?) {
        let number = exchange.attemptNumber
        let bound = NIOLoopBound(self, eventLoop: loop.eventLoop)
        let answer = pool.queue(exchange.priority, at: shared.time.now()) { isGranted in
            bound.eventLoop.execute { bound.value.placeIsThere(isGranted, pool, member, number) }
        }
        switch answer {
        case .granted: attempt(isFirst: false, freshTo: member, holdsPlace: true)
        case .refused:
            refuseForPlace("pool '\(pool.name)' has all the requests that it may have")
        case .waiting(let ticket, let until, _):
            loop.metrics.queued += 1
            placeTicket = ticket
            exchange.stage = .waiting
            wait(.attempt, until: min(until, exchange.deadline.instant))
        }
    }

    private func placeIsThere(
        _ isGranted: Bool, _ pool: PoolRuntime, _ member: Int?, _ number: UInt64
    ) {
        guard number == exchange.attemptNumber, exchange.stage == .waiting, isInRequest,
            placeTicket != nil
        else {
            if isGranted { pool.leave(at: shared.time.now()) }
            return
        }
        placeTicket = nil
        waitForNothing()
        if isGranted {
            attempt(isFirst: false, freshTo: member, holdsPlace: true)
        } else {
            refuseForPlace("a more urgent request has taken the place in the queue")
        }
    }

    /// No place has come in time. False when none was waited for.
    func stopsWaitingForPlace() -> Bool {
        guard placeTicket != nil else { return false }
        forgetPlace()
        refuseForPlace("no place has become free in time")
        return true
    }

    /// The request waits no more; a place that is on its way finds nobody and goes back.
    func forgetPlace() {
        guard let ticket = placeTicket else { return }
        placeTicket = nil
        exchange.attemptNumber &+= 1
        _ = exchange.pool?.stopWaiting(ticket)
    }

    private func refuseForPlace(_ reason: String) {
        loop.metrics.shed += 1
        attemptHasFailed(AttemptFailure(.nobody, reason, retryAfter: .seconds(1)))
    }

    // MARK: Urgency

    /// How urgent the request is: as its key or tenant says; X-Priority may lower it, and raise it
    /// as far as the key allows.
    func priority(_ runtime: GatewayRuntime) -> RequestPriority {
        let own: RequestPriority
        if let key = exchange.key, exchange.identity == nil {
            own = runtime.keyPriorities[key]
        } else {
            let tenant = exchange.tenant(runtime)
            own =
                exchange.key.flatMap { runtime.access.keys[$0].priority }
                ?? tenant.flatMap { runtime.access.tenantPriorities[$0] } ?? .normal
        }
        guard exchange.hasPriority,
            let range = parser.head.fields.range(.priority),
            let wanted = RequestPriority(rawValue: parser.head.fields.string(range).lowercased())
        else { return own }
        let most = exchange.key.flatMap { runtime.access.keys[$0].priorityMax } ?? own
        return min(wanted, max(most, own))
    }
}
