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
package struct BatcherActions {
    /// Run these together, on the instance that was lent.
    package var batch: [BatchItem] = []
    /// Answer these now, with a refusal.
    package var refused: [(item: BatchItem, reason: BatchRefusal)] = []
    /// Answer these now, each with its own result, in this order.
    package var released: [BatchItem] = []
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
/// Requests are linked through themselves, so enqueueing, cancelling and finishing are O(1) and
/// allocate nothing; forming a batch looks at no more than `scanMax` waiting requests.
package struct BatcherState: ~Copyable {
    struct Instance {
        var isRunning = false
        /// A caller runs its own request on it.
        var isInline = false
        /// Its batch has several requests.
        var isJoined = false
        /// Of one request in its batch.
        var inputBytes = Int.max
        /// Requests on it that are not answered yet.
        var live = 0
        var hasAbandoned = false
        var started = MonotonicInstant(nanoseconds: 0)
    }

    /// Most waiting requests that one batch formation looks at.
    static var scanMax: Int { 1024 }

    package let policy: BatchingPolicy
    let lanes: [BatchLane]
    /// Batches are formed as large as what waits, and never held back.
    let isGreedy: Bool
    let queueDelay: Int64
    var instances: [Instance]
    var idleInstances: [Int]
    var inlineRuns: InlineRuns
    var expiries = ExpiryHeap()
    var order = ReleaseOrder()
    var scratch: [BatchItem] = []
    package internal(set) var waitingCount = 0
    package internal(set) var waitingRows = 0
    /// Requests inside: waiting, running and still wanted, or held.
    package internal(set) var occupiedCount = 0
    package private(set) var isClosed = false
    /// A moving average of how long a batch takes, for the advice to come back later.
    var batchNanoseconds: Int64 = 0

    package init(policy: BatchingPolicy, instances: Int) {
        self.policy = policy
        let levels = policy.levels.isEmpty ? [BatchingPolicy.Level()] : policy.levels
        lanes = levels.map(BatchLane.init)
        isGreedy =
            !policy.joinsRequests || policy.queueDelay <= .zero && policy.preferredRows.isEmpty
        queueDelay = policy.queueDelay.nanosecondsSaturating
        let count = max(1, instances)
        self.instances = Array(repeating: Instance(), count: count)
        idleInstances = Array((0..<count).reversed())
        inlineRuns = InlineRuns(policy)
    }

    package var runningInstances: Int { instances.count - idleInstances.count }

    /// Whether an idle instance would find work, or an earlier time to wake at.
    package var hasWaiting: Bool { waitingCount > 0 }

    /// When `expire` has something to do next.
    package var nextExpiry: MonotonicInstant? {
        expiries.first.map { MonotonicInstant(nanoseconds: $0) }
    }

    /// Admits nothing from now on; what is inside is still served.
    package mutating func close() { isClosed = true }

    /// What `enqueue` decided.
    package enum Admission {
        /// `signals`: a thread sleeps that should look again.
        case accepted(signals: Bool)
        /// Run the request now, on this instance, and `finishInline`.
        case runHere(instance: Int)
        case refused(BatchRefusal)
    }

    /// A request's claims on the queue.
    package struct Claim: Sendable {
        package var rows: Int
        package var key: BatchKey
        package var priority: UInt64
        package var timeout: Duration?
        package var deadline: MonotonicInstant?
        /// Of all inputs; by default too many for the caller to run the request.
        package var inputBytes: Int
        /// The caller would rather run the request than wait for a thread to do so.
        package var allowsInlineRun: Bool
        /// The same, however long the run takes.
        package var prefersInlineRun: Bool

        package init(
            rows: Int = 1, key: BatchKey = BatchKey(), priority: UInt64 = 0,
            timeout: Duration? = nil, deadline: MonotonicInstant? = nil,
            inputBytes: Int = .max, allowsInlineRun: Bool = false, prefersInlineRun: Bool = false
        ) {
            self.rows = rows
            self.key = key
            self.priority = priority
            self.timeout = timeout
            self.deadline = deadline
            self.inputBytes = inputBytes
            self.allowsInlineRun = allowsInlineRun
            self.prefersInlineRun = prefersInlineRun
        }
    }

    // MARK: Events

    /// A request arrives.
    package mutating func enqueue(_ item: BatchItem, at now: MonotonicInstant) -> Admission {
        if isClosed { return .refused(.closed) }
        let rows = item.claim.rows
        guard rows <= policy.rowsMax else { return .refused(.tooManyRows(max: policy.rowsMax)) }
        if let deadline = item.claim.deadline, deadline <= now {
            return .refused(.deadlineExceeded)
        }
        let level = level(of: item.claim.priority)
        let lane = lanes[level]
        guard lane.count < lane.rules.waitingMax else {
            return .refused(.queueFull(waiting: lane.count, retryAfter: retryAfter()))
        }
        item.arrival = now
        if item.claim.allowsInlineRun || item.claim.prefersInlineRun,
            let instance = inlineInstance(for: item, at: now)
        {
            return .runHere(instance: instance)
        }
        let wasEmpty = waitingCount == 0
        occupiedCount += 1
        item.standing.phase = .waiting
        item.standing.level = Int32(truncatingIfNeeded: level)
        if lane.timeout < .max || item.claim.timeout != nil {
            setQueueLimit(of: item, lane.rules, at: now)
        }
        if policy.preservesOrdering { item.standing.sequence = order.append() }
        pushExpiry(item)
        lane.append(item, isDelayed: false)
        lane.count += 1
        waitingCount += 1
        waitingRows += rows
        if idleInstances.isEmpty { return .accepted(signals: false) }
        let isDue =
            wasEmpty || queueDelay == 0 || item.claim.deadline != nil
            || waitingRows >= (policy.preferredRows.first ?? policy.rowsMax)
        return .accepted(signals: isDue)
    }

    /// A client goes away. Nothing happens when the request was answered before.
    package mutating func cancel(_ item: BatchItem, into actions: inout BatcherActions) {
        refuse(item, .cancelled, into: &actions)
    }

    /// Time passes: refuses or sets back what waited too long.
    package mutating func expire(at now: MonotonicInstant, into actions: inout BatcherActions) {
        while let item = expiries.popFirst(dueAt: now.nanoseconds) {
            if let deadline = item.claim.deadline, deadline <= now {
                refuse(item, .deadlineExceeded, into: &actions)
            } else if item.standing.phase == .waiting,
                item.standing.queueLimit <= now.nanoseconds
            {
                item.standing.queueLimit = .max
                let lane = lanes[Int(item.standing.level)]
                if lane.rules.delaysOnTimeout {
                    lane.remove(item)
                    lane.append(item, isDelayed: true)
                    pushExpiry(item)
                } else {
                    refuse(item, .timedOut, into: &actions)
                }
            } else {
                item.standing.queueLimit = .max
                pushExpiry(item)
            }
        }
    }

    /// Whether the caller would run this request, were not another caller on the instance just now,
    /// for some microseconds.
    package func isWorthAwaiting(_ item: BatchItem) -> Bool {
        item.claim.allowsInlineRun && !isClosed && waitingCount == 0 && idleInstances.isEmpty
            && !policy.preservesOrdering
            && instances.contains { $0.isInline } && policy.runsAtOnce(rows: item.claim.rows)
            && inlineRuns.allows(inputBytes: item.claim.inputBytes)
    }

    private func level(of priority: UInt64) -> Int {
        priority >= 1 && priority <= UInt64(lanes.count) ? Int(priority) - 1 : policy.defaultLevel
    }

    private func setQueueLimit(
        of item: BatchItem, _ rules: BatchingPolicy.Level, at now: MonotonicInstant
    ) {
        guard let timeout = rules.timeout(requested: item.claim.timeout) else { return }
        item.standing.queueLimit = now.advanced(by: timeout).nanoseconds
    }

    /// The instance on which the caller may run its request at once, begun.
    private mutating func inlineInstance(
        for item: BatchItem, at now: MonotonicInstant
    ) -> Int? {
        // With order kept, only when no earlier result is to come.
        guard waitingCount == 0, !idleInstances.isEmpty,
            policy.runsAtOnce(rows: item.claim.rows),
            item.claim.prefersInlineRun
                || inlineRuns.allows(inputBytes: item.claim.inputBytes),
            !policy.preservesOrdering || occupiedCount == 0
        else { return nil }
        occupiedCount += 1
        if policy.preservesOrdering { item.standing.sequence = order.append() }
        return begin(at: now, isInline: true, count: 1, inputBytes: item.claim.inputBytes)
    }
}
