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
        at now: MonotonicInstant, into actions: inout BatcherActions<Payload>
    ) -> InstanceStep {
        expire(at: now, into: &actions)
        guard waitingCount > 0, !idleInstances.isEmpty else { return .wait(until: nil) }
        var rows = collect()
        if policy.joinsRequests, policy.queueDelay > .zero || !policy.preferredRows.isEmpty {
            if let due = dueAfterTrimming(&rows), due > now, !isClosed { return .wait(until: due) }
        }
        let instance = begin(at: now, isInline: false)
        for position in 0..<scratch.count {
            let index = Int(scratch[position])
            unlink(index)
            levels[Int(slots[index].level)].count -= 1
            waitingCount -= 1
            waitingRows -= slots[index].rows
            if let payload = payloads[index] { actions.batch.append(payload) }
            run(index, on: instance)
        }
        let isWorkLeft = waitingCount > 0 && !idleInstances.isEmpty
        return .run(instance: instance, signalsAnother: isWorkLeft)
    }

    /// Takes an idle instance; there must be one.
    mutating func begin(at now: MonotonicInstant, isInline: Bool) -> Int {
        let instance = idleInstances.removeLast()
        instances[instance].isRunning = true
        instances[instance].isInline = isInline
        instances[instance].live = 0
        instances[instance].started = now
        return instance
    }

    /// Puts a request that is in no list on an instance that has begun.
    mutating func run(_ index: Int, on instance: Int) {
        slots[index].phase = .running
        slots[index].instance = Int32(instance)
        instances[instance].inputBytes =
            instances[instance].live == 0 ? slots[index].inputBytes : Int.max
        instances[instance].live += 1
        instances[instance].members.append(Int32(index))
    }

    /// Fills `scratch` with the slots of the next batch, in order; returns its rows.
    private mutating func collect() -> Int {
        scratch.removeAll(keepingCapacity: true)
        var rows = 0
        var scanned = 0
        var key = BatchKey.alone
        for level in 0..<levels.count {
            for isDelayed in [false, true] {
                let list = isDelayed ? levels[level].delayed : levels[level].waiting
                var index = list.head
                while index >= 0 {
                    let slot = Int(index)
                    if scratch.isEmpty {
                        key = slots[slot].key
                        rows = slots[slot].rows
                        scratch.append(index)
                        if !policy.joinsRequests || key.isAlone { return rows }
                    } else if slots[slot].rows <= policy.rowsMax - rows, slots[slot].key == key {
                        rows += slots[slot].rows
                        scratch.append(index)
                    }
                    scanned += 1
                    if rows >= policy.rowsMax || scanned >= BatcherState.scanMax { return rows }
                    index = slots[slot].next
                }
            }
        }
        return rows
    }

    /// Applies preferred sizes and the queue delay to the batch in `scratch`: nil to run what is
    /// left of it now, otherwise when to look again.
    private mutating func dueAfterTrimming(_ rows: inout Int) -> MonotonicInstant? {
        if rows >= policy.rowsMax { return nil }
        let oldest = slots[Int(scratch[0])].arrival
        let due = oldest.advanced(by: policy.queueDelay)
        var sum = 0
        var best: (count: Int, rows: Int)?
        for position in 0..<scratch.count {
            let slot = slots[Int(scratch[position])]
            sum += slot.rows
            if policy.preferredRows.contains(sum) { best = (position + 1, sum) }
            // Waiting on would let this one expire uncomputed.
            if let deadline = slot.deadline, deadline <= due { return nil }
            if let limit = slot.queueLimit, limit <= due { return nil }
        }
        if let best {
            scratch.removeLast(scratch.count - best.count)
            rows = best.rows
            return nil
        }
        if let largest = policy.preferredRows.last, rows > largest { return nil }
        return due
    }

    // MARK: Leaving

    /// Answers a request with a refusal, whatever it was doing.
    mutating func refuse(
        _ index: Int, _ reason: BatchRefusal, into actions: inout BatcherActions<Payload>
    ) {
        if slots[index].isAbandoned { return }
        if let payload = payloads[index] { actions.refused.append((payload, reason)) }
        switch slots[index].phase {
        case .free: return
        case .waiting:
            unlink(index)
            levels[Int(slots[index].level)].count -= 1
            waitingCount -= 1
            waitingRows -= slots[index].rows
            dropFromOrder(index)
            freeSlot(index)
        case .running:
            slots[index].isAbandoned = true
            payloads[index] = nil
            dropFromOrder(index)
            let instance = Int(slots[index].instance)
            instances[instance].live -= 1
            if instances[instance].live == 0 { actions.stopsInstance = instance }
        case .held:
            dropFromOrder(index)
            freeSlot(index)
        }
        if policy.preservesOrdering { releaseHeld(into: &actions) }
    }

    mutating func dropFromOrder(_ index: Int) {
        if policy.preservesOrdering { order.drop(slots[index].sequence) }
    }

    mutating func releaseHeld(into actions: inout BatcherActions<Payload>) {
        while let slot = order.popReleasable() {
            if let payload = payloads[Int(slot)] { actions.released.append(payload) }
            freeSlot(Int(slot))
        }
    }

    func retryAfter() -> Duration {
        let batchesAhead = waitingRows / max(1, policy.rowsMax) / instances.count + 1
        let nanoseconds = Int64(batchesAhead).multipliedReportingOverflow(by: batchNanoseconds)
        let bound = Int64(60_000_000_000)
        return .nanoseconds(nanoseconds.overflow ? bound : min(nanoseconds.partialValue, bound))
    }

    // MARK: Slots and lists

    func isCurrent(_ ticket: Ticket) -> Bool {
        let index = Int(ticket.slot)
        return index < slots.count && slots[index].phase != .free
            && slots[index].generation == ticket.generation && !slots[index].isAbandoned
    }

    mutating func takeSlot() -> Int {
        if let free = freeSlots.popLast() { return Int(free) }
        slots.append(Slot())
        payloads.append(nil)
        return slots.count - 1
    }

    mutating func freeSlot(_ index: Int) {
        if slots[index].hasExpiry {
            slots[index].hasExpiry = false
            expiries.forget()
        }
        payloads[index] = nil
        slots[index].phase = .free
        slots[index].isAbandoned = false
        slots[index].generation &+= 1
        freeSlots.append(Int32(index))
        if expiries.needsSweep {
            expiries.sweep { [slots] ticket in
                let slot = slots[Int(ticket.slot)]
                return slot.phase != .free && slot.generation == ticket.generation
            }
        }
    }

    mutating func pushExpiry(_ index: Int) {
        let instant: MonotonicInstant
        switch (slots[index].queueLimit, slots[index].deadline) {
        case (nil, nil): return
        case (let limit?, nil): instant = limit
        case (nil, let deadline?): instant = deadline
        case (let limit?, let deadline?): instant = min(limit, deadline)
        }
        slots[index].hasExpiry = true
        expiries.push(
            instant, Ticket(slot: Int32(index), generation: slots[index].generation))
    }

    mutating func append(_ index: Int, level: Int, delayed: Bool) {
        let tail = delayed ? levels[level].delayed.tail : levels[level].waiting.tail
        slots[index].isDelayed = delayed
        slots[index].previous = tail
        slots[index].next = -1
        if tail >= 0 { slots[Int(tail)].next = Int32(index) }
        if delayed {
            levels[level].delayed.tail = Int32(index)
            if tail < 0 { levels[level].delayed.head = Int32(index) }
        } else {
            levels[level].waiting.tail = Int32(index)
            if tail < 0 { levels[level].waiting.head = Int32(index) }
        }
    }

    mutating func unlink(_ index: Int) {
        let level = Int(slots[index].level)
        let (previous, next) = (slots[index].previous, slots[index].next)
        if previous >= 0 { slots[Int(previous)].next = next }
        if next >= 0 { slots[Int(next)].previous = previous }
        if slots[index].isDelayed {
            if previous < 0 { levels[level].delayed.head = next }
            if next < 0 { levels[level].delayed.tail = previous }
        } else {
            if previous < 0 { levels[level].waiting.head = next }
            if next < 0 { levels[level].waiting.tail = previous }
        }
    }
}
