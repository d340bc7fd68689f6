// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// The shell around `BatcherState`: a lock, a thread per model instance, callbacks.
///
/// `submit` takes one lock and returns. An instance's thread forms a batch, runs it and answers its
/// members, holding the lock only to change state. A closed batcher serves what it has admitted;
/// its threads then end.
package final class Batcher: TimekeeperClient {
    /// Makes an instance's runner; called on the thread that builds the batcher.
    package typealias RunnerFactory = () throws -> any BatchRunner

    // Sendable: everything in it is read and written under `monitor` only.
    private final class Guarded: @unchecked Sendable {
        var state: BatcherState<BatchItem>
        var cancellations: [Cancellation?]
        var alarm: MonotonicInstant?
        var threads: Int
        var onDrained: (@Sendable () -> Void)?

        init(state: BatcherState<BatchItem>, instances: Int) {
            self.state = state
            cancellations = Array(repeating: nil, count: instances)
            threads = instances
        }
    }

    // Sendable: handed to its thread once and used only there.
    private final class RunnerBox: @unchecked Sendable {
        let runner: any BatchRunner
        init(_ runner: any BatchRunner) { self.runner = runner }
    }

    package let name: String
    private let monitor = Monitor()
    private let guarded: Guarded
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
        let boxes = try (0..<count).map { _ in RunnerBox(try makeRunner()) }
        for (instance, box) in boxes.enumerated() {
            do {
                try NativeThread.start(name: name) {
                    self.serve(instance: instance, runner: box.runner)
                }
            } catch {
                monitor.withLock { guarded.threads -= count - instance }
                close(onDrained: nil)
                throw error
            }
        }
    }

    /// Requests waiting now.
    package var waitingCount: Int { monitor.withLock { guarded.state.waitingCount } }

    /// Queues a request. Its completion runs on an instance's thread, on the cancelling thread, on
    /// the timekeeper's, or, when the queue refuses it, here.
    /// - Returns: false when the batcher is closed; then nothing was done and nothing is answered.
    package func submit(_ item: BatchItem, cancellation: Cancellation?) -> Bool {
        let now = time.now()
        item.arrival = now
        monitor.lock()
        let admission = guarded.state.enqueue(item, item.claim, at: now)
        let alarm = nextAlarm()
        if case .accepted(_, signals: true) = admission { monitor.signal() }
        monitor.unlock()
        if let alarm { timekeeper.wake(self, at: alarm) }
        switch admission {
        case .accepted(let ticket, _):
            cancellation?.onCancel { [weak self] in self?.cancel(ticket) }
            return true
        case .refused(.closed):
            return false
        case .refused(let reason):
            answer([(item, reason)], at: now)
            return true
        }
    }

    /// Takes no more requests. `onDrained` runs when the last instance has ended.
    package func close(onDrained: (@Sendable () -> Void)?) {
        let isDrained = monitor.withLock { () -> Bool in
            guarded.state.close()
            guard guarded.threads > 0 else { return true }
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

    /// One instance's life.
    private func serve(instance: Int, runner: any BatchRunner) {
        var actions = BatcherActions<BatchItem>()
        monitor.lock()
        while true {
            let now = time.now()
            let step = guarded.state.takeBatch(instance: instance, at: now, into: &actions)
            switch step {
            case .run(let signalsAnother):
                let cancellation = Cancellation()
                guarded.cancellations[instance] = cancellation
                if signalsAnother { monitor.signal() }
                monitor.unlock()
                run(&actions, on: runner, cancellation: cancellation, at: now)
                monitor.lock()
                guarded.cancellations[instance] = nil
                guarded.state.finish(instance: instance, at: time.now(), into: &actions)
                monitor.unlock()
                perform(&actions, at: now)
                monitor.lock()
            case .wait(let instant):
                if !actions.refused.isEmpty || !actions.released.isEmpty {
                    monitor.unlock()
                    perform(&actions, at: now)
                    monitor.lock()
                } else if guarded.state.isClosed, !guarded.state.hasWaiting {
                    let onDrained = leave()
                    monitor.unlock()
                    onDrained?()
                    return
                } else {
                    monitor.wait(until: instant)
                }
            }
        }
    }

    private func leave() -> (@Sendable () -> Void)? {
        guarded.threads -= 1
        guard guarded.threads == 0 else { return nil }
        defer { guarded.onDrained = nil }
        return guarded.onDrained
    }

    private func run(
        _ actions: inout BatcherActions<BatchItem>, on runner: any BatchRunner,
        cancellation: Cancellation, at start: MonotonicInstant
    ) {
        if !actions.refused.isEmpty { answer(actions.refused, at: start) }
        actions.refused.removeAll(keepingCapacity: true)
        for item in actions.batch { item.started = start }
        var times = BatchTimes()
        runner.run(actions.batch, cancellation: cancellation, times: &times)
        observer?.ran(actions.batch, times: times, from: start, to: time.now())
        actions.batch.removeAll(keepingCapacity: true)
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
