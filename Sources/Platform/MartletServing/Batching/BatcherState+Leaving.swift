// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

extension BatcherState {
    /// A thread's batch has run: releases the results that are still wanted, and empties `batch`.
    package mutating func finish(
        instance: Int, batch: inout [BatchItem], at now: MonotonicInstant,
        into actions: inout BatcherActions
    ) {
        guard instances[instance].isRunning else { return }
        measure(instance, at: now)
        let isPlain =
            !instances[instance].hasAbandoned && !policy.preservesOrdering
            && actions.released.isEmpty
        if isPlain {
            occupiedCount -= batch.count
            batch.forEachBorrowed { item in
                item.standing.phase = .outside
                if item.standing.expiryIndex >= 0 { expiries.remove(item) }
            }
            swap(&actions.released, &batch)
        } else {
            for item in batch { finish(item, into: &actions) }
        }
        batch.removeAll(keepingCapacity: true)
        giveBack(instance)
        if policy.preservesOrdering { releaseHeld(into: &actions) }
    }

    private mutating func finish(_ item: BatchItem, into actions: inout BatcherActions) {
        if item.standing.phase == .abandoned {
            item.standing.phase = .outside
        } else if policy.preservesOrdering {
            item.standing.phase = .held
            order.settle(item)
        } else {
            expiries.remove(item)
            item.standing.phase = .outside
            occupiedCount -= 1
            actions.released.append(item)
        }
    }

    /// A caller has run its own request. It is to be answered first, then what `actions` says.
    /// - Returns: `isLate`: its deadline has passed, answer so; `signals`: a thread sleeps that
    ///   should look again.
    package mutating func finishInline(
        _ item: BatchItem, instance: Int, at now: MonotonicInstant,
        into actions: inout BatcherActions
    ) -> (isLate: Bool, signals: Bool) {
        measure(instance, at: now)
        giveBack(instance)
        occupiedCount -= 1
        if policy.preservesOrdering {
            order.drop(item)
            releaseHeld(into: &actions)
        }
        let isLate = item.claim.deadline.map { $0 <= now } ?? false
        return (isLate, waitingCount > 0)
    }

    private mutating func measure(_ instance: Int, at now: MonotonicInstant) {
        let taken = now.nanoseconds &- instances[instance].started.nanoseconds
        batchNanoseconds =
            batchNanoseconds == 0 ? taken : batchNanoseconds + (taken - batchNanoseconds) / 8
        inlineRuns.ran(
            inputBytes: instances[instance].inputBytes, nanoseconds: taken,
            isJoined: instances[instance].isJoined)
    }

    private mutating func giveBack(_ instance: Int) {
        instances[instance].isRunning = false
        idleInstances.append(instance)
    }

    /// Answers a request with a refusal, whatever it was doing.
    mutating func refuse(
        _ item: BatchItem, _ reason: BatchRefusal, into actions: inout BatcherActions
    ) {
        switch item.standing.phase {
        case .outside, .abandoned: return
        case .waiting:
            leaveQueue(item)
            item.standing.phase = .outside
        case .running:
            item.standing.phase = .abandoned
            let instance = Int(item.standing.instance)
            instances[instance].hasAbandoned = true
            instances[instance].live -= 1
            if instances[instance].live == 0 { actions.stopsInstance = instance }
        case .held:
            item.standing.phase = .outside
        }
        actions.refused.append((item, reason))
        occupiedCount -= 1
        expiries.remove(item)
        if policy.preservesOrdering {
            order.drop(item)
            releaseHeld(into: &actions)
        }
    }

    /// Takes a waiting request out of its list.
    mutating func leaveQueue(_ item: BatchItem) {
        let lane = lanes[Int(item.standing.level)]
        lane.remove(item)
        lane.count -= 1
        waitingCount -= 1
        waitingRows -= item.claim.rows
    }

    private mutating func releaseHeld(into actions: inout BatcherActions) {
        while let item = order.popReleasable() {
            expiries.remove(item)
            item.standing.phase = .outside
            occupiedCount -= 1
            actions.released.append(item)
        }
    }

    func retryAfter() -> Duration {
        let batchesAhead = waitingRows / max(1, policy.rowsMax) / instances.count + 1
        let nanoseconds = Int64(batchesAhead).multipliedReportingOverflow(by: batchNanoseconds)
        let bound = Int64(60_000_000_000)
        return .nanoseconds(nanoseconds.overflow ? bound : min(nanoseconds.partialValue, bound))
    }

    mutating func pushExpiry(_ item: BatchItem) {
        let instant = min(
            item.standing.queueLimit, item.claim.deadline?.nanoseconds ?? Int64.max)
        if instant < .max { expiries.push(instant, item) }
    }
}
