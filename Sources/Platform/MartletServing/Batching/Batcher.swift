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
        @safe @exclusivity(unchecked) var state: BatcherState
        var cancellations: [Cancellation?]
        var alarm: MonotonicInstant?
        @safe @exclusivity(unchecked) var sleepers = 0
        /// A sleeper was signalled and has not looked yet.
        @safe @exclusivity(unchecked) var isWaking = false
        var onDrained: (@Sendable () -> Void)?

        init(state: consuming BatcherState, instances: Int) {
            self.state = state
            cancellations = Array(repeating: nil, count: instances)
        }

        /// Whether somebody is to be signalled: one who is on the way will see all there is.
        func wakesSleeper() -> Bool {
            guard sleepers > 0, !isWaking else { return false }
            isWaking = true
            return true
        }
    }

    // Sendable: used only by the thread that holds the instance, which the state lends to one at a
    // time.
    private final class Place: @unchecked Sendable {
        let runner: any BatchRunner
        @safe @exclusivity(unchecked) var batch: [BatchItem] = []
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

    /// How often a caller looks again for an instance that another caller is using, and how long it
    /// spins between (a spin is some 40 nanoseconds): about 10 microseconds in all.
    private static let looksMax = 10
    private static let spinsPerLook = 25

    /// Requests waiting now.
    package var waitingCount: Int { monitor.withLock { guarded.state.waitingCount } }

    /// Queues a request. Its completion runs on a thread of the batcher, on the cancelling thread,
    /// on the timekeeper's, or, when the queue refuses it or the caller's offer to run it is taken,
    /// here.
    /// - Returns: false when the batcher is closed; then nothing was done and nothing is answered.
    package func submit(_ item: BatchItem, cancellation: Cancellation?) -> Bool {
        let now = time.now()
        var (wakes, wasCancelled) = (false, false)
        monitor.lock()
        // Waking a thread costs more than the other caller's run has left.
        var looks = 0
        while looks < Batcher.looksMax, guarded.state.isWorthAwaiting(item) {
            monitor.unlock()
            spinBriefly(Batcher.spinsPerLook)
            looks += 1
            monitor.lock()
        }
        let admission = guarded.state.enqueue(item, at: now)
        if case .accepted(let signals) = admission {
            if let cancellation {
                wasCancelled = !item.observe(cancellation) { [weak self, item] in
                    self?.cancel(item)
                }
            }
            wakes = signals && guarded.wakesSleeper()
        } else if case .runHere = admission {
            inside.add(1, ordering: .relaxed)
        }
        let alarm = nextAlarm()
        monitor.unlock()
        if wakes { monitor.signal() }
        if let alarm { timekeeper.wake(self, at: alarm) }
        switch admission {
        case .accepted:
            if wasCancelled { cancel(item) }
            return true
        case .runHere(let instance):
            runHere(item, on: instance, cancellation: cancellation, at: now)
            return true
        case .refused(.closed):
            return false
        case .refused(let reason):
            item.arrival = now
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
        var actions = BatcherActions()
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

    private func cancel(_ item: BatchItem) {
        var actions = BatcherActions()
        monitor.lock()
        guarded.state.cancel(item, into: &actions)
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
        place.batch.removeAll(keepingCapacity: true)
        var actions = BatcherActions()
        monitor.lock()
        let (isLate, signals) = guarded.state.finishInline(
            item, instance: instance, at: end, into: &actions)
        let wakes = signals && guarded.wakesSleeper()
        monitor.unlock()
        if wakes { monitor.signal() }
        if isLate { answer([(item, .deadlineExceeded)], at: end) } else { item.answerWithResult() }
        perform(&actions, at: end)
        leave()
    }

    /// One thread's life.
    private func serve() {
        var actions = BatcherActions()
        monitor.lock()
        while true {
            let now = time.now()
            let step = guarded.state.takeBatch(at: now, into: &actions)
            switch step {
            case .run(let instance, let signalsAnother):
                let cancellation = Cancellation()
                guarded.cancellations[instance] = cancellation
                let wakes = signalsAnother && guarded.wakesSleeper()
                monitor.unlock()
                if wakes { monitor.signal() }
                if !actions.refused.isEmpty { answer(actions.refused, at: now) }
                actions.refused.removeAll(keepingCapacity: true)
                let place = places[instance]
                swap(&place.batch, &actions.batch)
                let end = run(place, cancellation: cancellation, at: now)
                monitor.lock()
                guarded.cancellations[instance] = nil
                guarded.state.finish(
                    instance: instance, batch: &place.batch, at: end, into: &actions)
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
                    guarded.sleepers += 1
                    monitor.wait(until: instant)
                    guarded.sleepers -= 1
                    guarded.isWaking = false
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

    /// Runs the batch that was put at an instance; returns when the run ended.
    private func run(
        _ place: Place, cancellation: Cancellation?, at start: MonotonicInstant
    ) -> MonotonicInstant {
        var times = BatchTimes()
        place.runner.run(place.batch, cancellation: cancellation, times: &times)
        let end = time.now()
        observer?.ran(place.batch, times: times, from: start, to: end)
        return end
    }

    /// Answers what the state gave out, and empties `actions`.
    private func perform(_ actions: inout BatcherActions, at now: MonotonicInstant) {
        if !actions.refused.isEmpty { answer(actions.refused, at: now) }
        actions.released.forEachBorrowed { $0.answerWithResult() }
        actions.removeAll()
    }

    private func answer(
        _ refused: [(item: BatchItem, reason: BatchRefusal)], at now: MonotonicInstant
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
