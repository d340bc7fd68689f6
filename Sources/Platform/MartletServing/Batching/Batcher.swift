// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
internal import Synchronization

/// The shell around `BatcherState`: a lock, a thread per model instance, callbacks.
///
/// `submit` takes one lock and returns. A thread forms a batch, runs it on an idle instance and
/// answers its members, holding the lock only to change state. A caller that offers to may instead
/// run its own request, when that starts at once and is known to be short. A closed batcher serves
/// what it has admitted; its threads then end.
package final class Batcher: TimekeeperClient {
    /// Makes an instance's runner; called on the thread that builds the batcher.
    package typealias RunnerFactory = () throws -> any BatchRunner

    // Sendable: everything in it is read and written under `monitor` only.
    private final class Guarded: @unchecked Sendable {
        var state: BatcherState<BatchItem>
        var cancellations: [Cancellation?]
        var alarm: MonotonicInstant?
        var onDrained: (@Sendable () -> Void)?

        init(state: BatcherState<BatchItem>, instances: Int) {
            self.state = state
            cancellations = Array(repeating: nil, count: instances)
        }
    }

    // Sendable: used only by the thread that holds the instance, which the state lends to one at a
    // time.
    private final class Place: @unchecked Sendable {
        let runner: any BatchRunner
        var batch: [BatchItem] = []
        init(_ runner: any BatchRunner) { self.runner = runner }
    }

    package let name: String
    private let monitor = Monitor()
    private let guarded: Guarded
    private let places: [Place]
    /// Threads that have not ended, and callers that run their own requests.
    private let inside: Atomic<Int>
    private let time: any TimeSource
    private let timekeeper: Timekeeper
    private let observer: (any BatchObserver)?

    /// Makes every instance's runner, then starts their threads.
    /// - Throws: what a factory throws, or `ServingError.unavailable` for want of threads.
    package init(
        name: String, policy: BatchingPolicy, instances: Int, time: any TimeSource,
        timekeeper: Timekeeper, observer: (any BatchObserver)? = nil,
        makeRunner: RunnerFactory
    ) throws {
        let count = max(1, instances)
        self.name = name
        self.time = time
        self.timekeeper = timekeeper
        self.observer = observer
        guarded = Guarded(
            state: BatcherState(policy: policy, instances: count), instances: count)
        places = try (0..<count).map { _ in Place(try makeRunner()) }
        inside = Atomic(count)
        for started in 0..<count {
            do {
                try NativeThread.start(name: name) { self.serve() }
            } catch {
                inside.subtract(count - started, ordering: .relaxed)
                close(onDrained: nil)
                throw error
            }
        }
    }

    /// Requests waiting now.
    package var waitingCount: Int { monitor.withLock { guarded.state.waitingCount } }

    /// Queues a request. Its completion runs on a thread of the batcher, on the cancelling thread,
    /// on the timekeeper's, or, when the queue refuses it or the caller's offer to run it is taken,
    /// here.
    /// - Returns: false when the batcher is closed; then nothing was done and nothing is answered.
    package func submit(_ item: BatchItem, cancellation: Cancellation?) -> Bool {
        let now = time.now()
        item.arrival = now
        monitor.lock()
        let admission = guarded.state.enqueue(item, item.claim, at: now)
        if case .runHere = admission { inside.add(1, ordering: .relaxed) }
        let alarm = nextAlarm()
        if case .accepted(_, signals: true) = admission { monitor.signal() }
        monitor.unlock()
        if let alarm { timekeeper.wake(self, at: alarm) }
        switch admission {
        case .accepted(let ticket, _):
            cancellation?.onCancel { [weak self] in self?.cancel(ticket) }
            return true
        case .runHere(let instance):
            runHere(item, on: instance, cancellation: cancellation, at: now)
            return true
        case .refused(.closed):
            return false
        case .refused(let reason):
            answer([(item, reason)], at: now)
            return true
        }
    }

    /// Takes no more requests. `onDrained` runs when the last thread has ended.
    package func close(onDrained: (@Sendable () -> Void)?) {
        let isDrained = monitor.withLock { () -> Bool in
            guarded.state.close()
            guard inside.load(ordering: .relaxed) > 0 else { return true }
            guarded.onDrained = onDrained
            monitor.broadcast()
            return false
        }
        if isDrained { onDrained?() }
    }

    package func timeReached(_ now: MonotonicInstant) {
        var actions = BatcherActions<BatchItem>()
        monitor.lock()
        guarded.alarm = nil
        guarded.state.expire(at: now, into: &actions)
        let stopped = actions.stopsInstance.flatMap { guarded.cancellations[$0] }
        let alarm = nextAlarm()
        monitor.unlock()
        stopped?.cancel()
        if let alarm { timekeeper.wake(self, at: alarm) }
        perform(&actions, at: now)
    }

    // MARK: Steps

    private func cancel(_ ticket: Ticket) {
        var actions = BatcherActions<BatchItem>()
        monitor.lock()
        guarded.state.cancel(ticket, into: &actions)
        let stopped = actions.stopsInstance.flatMap { guarded.cancellations[$0] }
        monitor.unlock()
        stopped?.cancel()
        perform(&actions, at: time.now())
    }

    /// The instant to ask the timekeeper for, if it is earlier than what it knows. Under the lock.
    private func nextAlarm() -> MonotonicInstant? {
        guard let next = guarded.state.nextExpiry else { return nil }
        if let alarm = guarded.alarm, alarm <= next { return nil }
        guarded.alarm = next
        return next
    }

    /// Runs a request on the thread that submits it. Its own cancellation stops the run.
    private func runHere(
        _ item: BatchItem, on instance: Int, cancellation: Cancellation?, at now: MonotonicInstant
    ) {
        let place = places[instance]
        place.batch.append(item)
        let end = run(place, cancellation: cancellation, at: now)
        var actions = BatcherActions<BatchItem>()
        monitor.lock()
        let signals = guarded.state.finish(instance: instance, at: end, into: &actions)
        if signals { monitor.signal() }
        monitor.unlock()
        perform(&actions, at: end)
        leave()
    }

    /// One thread's life.
    private func serve() {
        var actions = BatcherActions<BatchItem>()
        monitor.lock()
        while true {
            let now = time.now()
            let step = guarded.state.takeBatch(at: now, into: &actions)
            switch step {
            case .run(let instance, let signalsAnother):
                let cancellation = Cancellation()
                guarded.cancellations[instance] = cancellation
                if signalsAnother { monitor.signal() }
                monitor.unlock()
                if !actions.refused.isEmpty { answer(actions.refused, at: now) }
                actions.refused.removeAll(keepingCapacity: true)
                let place = places[instance]
                swap(&place.batch, &actions.batch)
                let end = run(place, cancellation: cancellation, at: now)
                monitor.lock()
                guarded.cancellations[instance] = nil
                guarded.state.finish(instance: instance, at: end, into: &actions)
                monitor.unlock()
                perform(&actions, at: end)
                monitor.lock()
            case .wait(let instant):
                if !actions.refused.isEmpty || !actions.released.isEmpty {
                    monitor.unlock()
                    perform(&actions, at: now)
                    monitor.lock()
                } else if guarded.state.isClosed, !guarded.state.hasWaiting {
                    // Others may have fallen asleep while something still waited.
                    monitor.broadcast()
                    monitor.unlock()
                    leave()
                    return
                } else {
                    monitor.wait(until: instant)
                }
            }
        }
    }

    /// A thread ends, or a caller has run its request; the last one of a closed batcher says so.
    private func leave() {
        guard inside.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        let onDrained = monitor.withLock { () -> (@Sendable () -> Void)? in
            defer { guarded.onDrained = nil }
            return guarded.onDrained
        }
        onDrained?()
    }

    /// Runs the batch that was put at an instance, and empties it; returns when the run ended.
    private func run(
        _ place: Place, cancellation: Cancellation?, at start: MonotonicInstant
    ) -> MonotonicInstant {
        for item in place.batch { item.started = start }
        var times = BatchTimes()
        place.runner.run(place.batch, cancellation: cancellation, times: &times)
        let end = time.now()
        observer?.ran(place.batch, times: times, from: start, to: end)
        place.batch.removeAll(keepingCapacity: true)
        return end
    }

    /// Answers what the state gave out, and empties `actions`.
    private func perform(_ actions: inout BatcherActions<BatchItem>, at now: MonotonicInstant) {
        if !actions.refused.isEmpty { answer(actions.refused, at: now) }
        for item in actions.released { item.answerWithResult() }
        actions.removeAll()
    }

    private func answer(
        _ refused: [(payload: BatchItem, reason: BatchRefusal)], at now: MonotonicInstant
    ) {
        for (item, reason) in refused {
            observer?.refused(item, reason: reason, at: now)
            item.answer(.failure(ServingError(reason, model: name)))
        }
    }
}

extension ServingError {
    /// A batcher's refusal in the doors' terms.
    init(_ refusal: BatchRefusal, model: String) {
        switch refusal {
        case .queueFull(let waiting, let retryAfter):
            self.init(
                .unavailable,
                "model '\(model)': the queue is full (\(waiting) requests wait)",
                retryAfter: retryAfter)
        case .tooManyRows(let max):
            self.init(
                .invalidArgument,
                "inference request batch-size must be <= \(max) for '\(model)'")
        case .timedOut:
            self.init(
                .deadlineExceeded,
                "model '\(model)': the request waited longer than the queue's policy allows")
        case .deadlineExceeded:
            self.init(.deadlineExceeded, "model '\(model)': the request's deadline has passed")
        case .cancelled:
            self.init(.cancelled, "model '\(model)': the request was cancelled")
        case .closed:
            self.init(.unavailable, "model '\(model)' is being unloaded", retryAfter: .seconds(1))
        }
    }
}
