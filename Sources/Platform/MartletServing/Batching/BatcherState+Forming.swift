// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// What a free thread should do.
package enum InstanceStep: Equatable, Sendable {
    /// Run `actions.batch` on this instance, then `finish`; `signalsAnother`: work and an instance
    /// are left for another sleeping thread.
    case run(instance: Int, signalsAnother: Bool)
    /// Sleep until signalled, or until then.
    case wait(until: MonotonicInstant?)
}

extension BatcherState {
    /// A thread is free: forms the next batch, if an instance is idle.
    ///
    /// The first waiting request of the highest level leads; others with its key join it in order
    /// while rows fit, lower levels last. Time limits are applied first, so that nothing past its
    /// deadline is computed.
    package mutating func takeBatch(
        at now: MonotonicInstant, into actions: inout BatcherActions
    ) -> InstanceStep {
        expire(at: now, into: &actions)
        guard waitingCount > 0, !idleInstances.isEmpty else { return .wait(until: nil) }
        if isGreedy {
            takeGreedily(into: &actions.batch)
        } else {
            let rows = collect()
            let due = dueAfterTrimming(rows)
            if due > now.nanoseconds, !isClosed {
                scratch.removeAll(keepingCapacity: true)
                return .wait(until: MonotonicInstant(nanoseconds: due))
            }
            for item in scratch { leaveQueue(item) }
            actions.batch.append(contentsOf: scratch)
            scratch.removeAll(keepingCapacity: true)
        }
        let instance = begin(
            at: now, isInline: false, count: actions.batch.count,
            inputBytes: actions.batch[0].claim.inputBytes)
        actions.batch.forEachBorrowed { item in
            item.standing.phase = .running
            item.standing.instance = Int32(truncatingIfNeeded: instance)
        }
        let isWorkLeft = waitingCount > 0 && !idleInstances.isEmpty
        return .run(instance: instance, signalsAnother: isWorkLeft)
    }

    /// Lends an idle instance; there must be one.
    mutating func begin(
        at now: MonotonicInstant, isInline: Bool, count: Int, inputBytes: Int
    ) -> Int {
        let instance = idleInstances.removeLast()
        instances[instance] = Instance(
            isRunning: true, isInline: isInline, isJoined: count > 1, inputBytes: inputBytes,
            live: count,
            started: now)
        return instance
    }

    /// Moves the next batch from the queue to `batch`.
    private mutating func takeGreedily(into batch: inout [BatchItem]) {
        var rows = 0
        var scanned = 0
        var key = BatchKey.alone
        var isFull = false
        for lane in lanes where !isFull && lane.count > 0 {
            var taken = 0
            for isDelayed in [false, true] where !isFull {
                var link = isDelayed ? lane.delayed.first : lane.waiting.first
                while let current = link, !isFull {
                    let item = current.item
                    link = item.standing.next
                    let isLead = batch.isEmpty
                    if isLead { key = item.claim.key }
                    scanned += 1
                    if isLead || (item.claim.rows <= policy.rowsMax - rows && item.claim.key == key)
                    {
                        rows += item.claim.rows
                        taken += 1
                        batch.append(
                            isDelayed
                                ? lane.delayed.remove(current) : lane.waiting.remove(current))
                    }
                    isFull =
                        rows >= policy.rowsMax || scanned >= BatcherState.scanMax
                        || !policy.joinsRequests || key.isAlone
                }
            }
            lane.count -= taken
            waitingCount -= taken
        }
        waitingRows -= rows
    }

    /// Fills `scratch` with the next batch, in order, and leaves it in the queue; returns its rows.
    private mutating func collect() -> Int {
        scratch.removeAll(keepingCapacity: true)
        var rows = 0
        var scanned = 0
        var key = BatchKey.alone
        for lane in lanes {
            for isDelayed in [false, true] {
                var link = isDelayed ? lane.delayed.first : lane.waiting.first
                while let current = link {
                    let item = current.item
                    if scratch.isEmpty {
                        key = item.claim.key
                        rows = item.claim.rows
                        scratch.append(item)
                        if !policy.joinsRequests || key.isAlone { return rows }
                    } else if item.claim.rows <= policy.rowsMax - rows, item.claim.key == key {
                        rows += item.claim.rows
                        scratch.append(item)
                    }
                    scanned += 1
                    if rows >= policy.rowsMax || scanned >= BatcherState.scanMax { return rows }
                    link = item.standing.next
                }
            }
        }
        return rows
    }

    /// Applies preferred sizes and the queue delay to the batch in `scratch`.
    /// - Returns: when what is left of it should run; the earliest instant for now.
    private mutating func dueAfterTrimming(_ rows: Int) -> Int64 {
        if rows >= policy.rowsMax { return .min }
        let (sum, overflow) = scratch[0].arrival.nanoseconds.addingReportingOverflow(queueDelay)
        let due = overflow ? Int64.max : sum
        var rowsSoFar = 0
        var best: Int?
        for position in 0..<scratch.count {
            let item = scratch[position]
            rowsSoFar += item.claim.rows
            if policy.preferredRows.contains(rowsSoFar) { best = position + 1 }
            // Waiting on would let this one expire uncomputed.
            if let deadline = item.claim.deadline, deadline.nanoseconds <= due { return .min }
            if item.standing.queueLimit <= due, item.standing.queueLimit < .max { return .min }
        }
        if let best {
            scratch.removeLast(scratch.count - best)
            return .min
        }
        if let largest = policy.preferredRows.last, rows > largest { return .min }
        return due
    }
}
