// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// Why a request leaves a batcher without a result.
package enum BatchRefusal: Sendable, Equatable {
    case queueFull(waiting: Int, retryAfter: Duration)
    case tooManyRows(max: Int)
    /// Waited longer than the queue's policy allows.
    case timedOut
    case deadlineExceeded
    case cancelled
    /// The batcher takes no more requests: look the model up again.
    case closed
}

/// What a batcher's shell has to do after an event. Kept and emptied by the shell, so that a step
/// allocates nothing.
package struct BatcherActions<Payload> {
    /// Run these together, on the instance that asked.
    package var batch: [Payload] = []
    /// Answer these now, with a refusal.
    package var refused: [(payload: Payload, reason: BatchRefusal)] = []
    /// Answer these now, each with its own result, in this order.
    package var released: [Payload] = []
    /// Nobody waits for this instance's run any more: stop it.
    package var stopsInstance: Int?

    package init() {}

    package mutating func removeAll() {
        batch.removeAll(keepingCapacity: true)
        refused.removeAll(keepingCapacity: true)
        released.removeAll(keepingCapacity: true)
        stopsInstance = nil
    }
}

/// A dynamic batcher as a pure value: events in, actions out; no clock, no lock, no thread.
///
/// A request is waiting (in its level's list), running (on an instance), held (finished, while
/// earlier ones are not and order is kept) or gone. Each leaves exactly once: released or refused.
/// Instances are lent: to threads that ask for a batch, and to callers that offer to run their own
/// request when it would start at once and such runs are short.
///
/// Lists are linked through one slab, so enqueueing, cancelling and finishing are O(1); forming a
/// batch looks at no more than `scanMax` waiting requests.
package struct BatcherState<Payload> {
    enum Phase { case free, waiting, running, held }

    struct Slot {
        var phase = Phase.free
        /// Running, but answered already.
        var isAbandoned = false
        var isDelayed = false
        var hasExpiry = false
        var generation: UInt32 = 0
        var level: Int32 = 0
        var instance: Int32 = 0
        var previous: Int32 = -1
        var next: Int32 = -1
        var rows = 0
        var inputBytes = 0
        var key = BatchKey()
        var arrival = MonotonicInstant(nanoseconds: 0)
        var queueLimit: MonotonicInstant?
        var deadline: MonotonicInstant?
        var sequence = 0
    }

    struct List {
        var head: Int32 = -1
        var tail: Int32 = -1
    }

    struct Level {
        var waiting = List()
        /// Past their time, taken when `waiting` is empty.
        var delayed = List()
        var count = 0
    }

    struct Instance {
        var isRunning = false
        /// A caller runs its own request on it.
        var isInline = false
        /// Of a run of one request; otherwise too large to tell anything.
        var inputBytes = Int.max
        var members: [Int32] = []
        var live = 0
        var started = MonotonicInstant(nanoseconds: 0)
    }

    /// Most waiting requests that one batch formation looks at.
    static var scanMax: Int { 1024 }

    package let policy: BatchingPolicy
    var slots: [Slot] = []
    /// By slot; apart from the slots so that these stay plain bits.
    var payloads: [Payload?] = []
    var freeSlots: [Int32] = []
    var levels: [Level]
    var instances: [Instance]
    var idleInstances: [Int]
    var inlineRuns: InlineRuns
    var expiries = ExpiryHeap()
    var order = ReleaseOrder()
    var scratch: [Int32] = []
    package internal(set) var waitingCount = 0
    package internal(set) var waitingRows = 0
    package private(set) var isClosed = false
    /// A moving average of how long a batch takes, for the advice to come back later.
    var batchNanoseconds: Int64 = 0

    package init(policy: BatchingPolicy, instances: Int) {
        self.policy = policy
        levels = Array(repeating: Level(), count: max(1, policy.levels.count))
        let count = max(1, instances)
        self.instances = Array(repeating: Instance(), count: count)
        idleInstances = Array((0..<count).reversed())
        inlineRuns = InlineRuns(policy)
    }

    /// Requests inside, waiting or running or held.
    package var occupiedCount: Int { slots.count - freeSlots.count }

    package var runningInstances: Int { instances.count - idleInstances.count }

    /// Whether an idle instance would find work, or an earlier time to wake at.
    package var hasWaiting: Bool { waitingCount > 0 }

    /// When `expire` has something to do next.
    package var nextExpiry: MonotonicInstant? {
        expiries.first.map { MonotonicInstant(nanoseconds: $0.instant) }
    }

    /// Admits nothing from now on; what is inside is still served.
    package mutating func close() { isClosed = true }

    /// What `enqueue` decided.
    package enum Admission {
        /// `signals`: a thread sleeps that should look again.
        case accepted(Ticket, signals: Bool)
        /// Run the request now, on this instance, and `finish`.
        case runHere(instance: Int)
        case refused(BatchRefusal)
    }

    /// A request's claims on the queue.
    package struct Claim {
        package var rows: Int
        package var key: BatchKey
        package var priority: UInt64
        package var timeout: Duration?
        package var deadline: MonotonicInstant?
        /// Of all inputs; by default too many for the caller to run the request.
        package var inputBytes: Int
        /// The caller would rather run the request than wait for a thread to do so.
        package var allowsInlineRun: Bool

        package init(
            rows: Int = 1, key: BatchKey = BatchKey(), priority: UInt64 = 0,
            timeout: Duration? = nil, deadline: MonotonicInstant? = nil,
            inputBytes: Int = .max, allowsInlineRun: Bool = false
        ) {
            self.inputBytes = inputBytes
            self.allowsInlineRun = allowsInlineRun
            self.rows = rows
            self.key = key
            self.priority = priority
            self.timeout = timeout
            self.deadline = deadline
        }
    }

    // MARK: Events

    /// A request arrives.
    package mutating func enqueue(
        _ payload: Payload, _ claim: Claim, at now: MonotonicInstant
    ) -> Admission {
        if isClosed { return .refused(.closed) }
        guard claim.rows <= policy.rowsMax else {
            return .refused(.tooManyRows(max: policy.rowsMax))
        }
        if let deadline = claim.deadline, deadline <= now { return .refused(.deadlineExceeded) }
        let level =
            claim.priority >= 1 && claim.priority <= UInt64(levels.count)
            ? Int(claim.priority) - 1 : policy.defaultLevel
        let rules = policy.levels[level]
        guard levels[level].count < rules.waitingMax else {
            return .refused(
                .queueFull(waiting: levels[level].count, retryAfter: retryAfter()))
        }
        let wasEmpty = waitingCount == 0
        // With order kept, only when no earlier result is to come.
        let runsHere =
            claim.allowsInlineRun && wasEmpty && !idleInstances.isEmpty
            && policy.runsAtOnce(rows: claim.rows)
            && inlineRuns.allows(inputBytes: claim.inputBytes)
            && (!policy.preservesOrdering || occupiedCount == 0)
        let index = takeSlot()
        payloads[index] = payload
        var slot = Slot()
        slot.generation = slots[index].generation
        slot.phase = .waiting
        slot.level = Int32(level)
        slot.rows = claim.rows
        slot.inputBytes = claim.inputBytes
        slot.key = claim.key
        slot.arrival = now
        slot.queueLimit = rules.timeout(requested: claim.timeout).map(now.advanced(by:))
        slot.deadline = claim.deadline
        if policy.preservesOrdering { slot.sequence = order.append() }
        slots[index] = slot
        if runsHere {
            let instance = begin(at: now, isInline: true)
            run(index, on: instance)
            return .runHere(instance: instance)
        }
        let ticket = Ticket(slot: Int32(index), generation: slot.generation)
        pushExpiry(index)
        append(index, level: level, delayed: false)
        levels[level].count += 1
        waitingCount += 1
        waitingRows += claim.rows
        let isDue =
            wasEmpty || policy.queueDelay == .zero || claim.deadline != nil
            || waitingRows >= (policy.preferredRows.first ?? policy.rowsMax)
        return .accepted(ticket, signals: isDue && !idleInstances.isEmpty)
    }

    /// A client goes away. Nothing happens when the request was answered before.
    package mutating func cancel(_ ticket: Ticket, into actions: inout BatcherActions<Payload>) {
        guard isCurrent(ticket) else { return }
        refuse(Int(ticket.slot), .cancelled, into: &actions)
    }

    /// Time passes: refuses or sets back what waited too long.
    package mutating func expire(
        at now: MonotonicInstant, into actions: inout BatcherActions<Payload>
    ) {
        while let entry = expiries.first, entry.instant <= now.nanoseconds {
            let index = Int(entry.ticket.slot)
            let isOccupied =
                slots[index].phase != .free && slots[index].generation == entry.ticket.generation
            expiries.removeFirst(wasLive: isOccupied)
            guard isOccupied else { continue }
            slots[index].hasExpiry = false
            guard !slots[index].isAbandoned else { continue }
            if let deadline = slots[index].deadline, deadline <= now {
                refuse(index, .deadlineExceeded, into: &actions)
            } else if slots[index].phase == .waiting, let limit = slots[index].queueLimit,
                limit <= now
            {
                let level = Int(slots[index].level)
                slots[index].queueLimit = nil
                if policy.levels[level].delaysOnTimeout {
                    unlink(index)
                    append(index, level: level, delayed: true)
                    pushExpiry(index)
                } else {
                    refuse(index, .timedOut, into: &actions)
                }
            } else {
                slots[index].queueLimit = nil
                pushExpiry(index)
            }
        }
    }

    /// An instance finished its batch: releases the results that are still wanted.
    /// - Returns: whether a thread sleeps that should look again. One that ran the batch itself
    ///   looks again anyway.
    @discardableResult
    package mutating func finish(
        instance: Int, at now: MonotonicInstant, into actions: inout BatcherActions<Payload>
    ) -> Bool {
        guard instances[instance].isRunning else { return false }
        let isInline = instances[instance].isInline
        let taken = instances[instance].started.duration(to: now).nanosecondsSaturating
        batchNanoseconds =
            batchNanoseconds == 0 ? taken : batchNanoseconds + (taken - batchNanoseconds) / 8
        inlineRuns.ran(inputBytes: instances[instance].inputBytes, nanoseconds: taken)
        for member in 0..<instances[instance].members.count {
            let index = Int(instances[instance].members[member])
            if slots[index].isAbandoned {
                freeSlot(index)
            } else if isInline, let deadline = slots[index].deadline, deadline <= now {
                if let payload = payloads[index] {
                    actions.refused.append((payload, .deadlineExceeded))
                }
                dropFromOrder(index)
                freeSlot(index)
            } else if policy.preservesOrdering {
                slots[index].phase = .held
                order.settle(slots[index].sequence, heldSlot: Int32(index))
            } else {
                if let payload = payloads[index] { actions.released.append(payload) }
                freeSlot(index)
            }
        }
        instances[instance].members.removeAll(keepingCapacity: true)
        instances[instance].isRunning = false
        idleInstances.append(instance)
        if policy.preservesOrdering { releaseHeld(into: &actions) }
        return isInline && waitingCount > 0
    }
}
