// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase

/// What can be told that a time it asked for has come.
package protocol TimekeeperClient: AnyObject, Sendable {
    func timeReached(_ now: MonotonicInstant)
}

/// One thread that wakes clients at instants they name: deadlines of queues whose instances are
/// all busy.
package final class Timekeeper: Sendable {
    private struct Alarm {
        var instant: MonotonicInstant
        weak var client: (any TimekeeperClient)?
    }

    // Sendable: `alarms` and the flags are read and written under `monitor` only.
    private final class State: @unchecked Sendable {
        var alarms: [Alarm] = []
        var isStarted = false
        var isStopped = false
    }

    private let monitor = Monitor()
    private let state = State()
    private let time: any TimeSource

    package init(time: any TimeSource) {
        self.time = time
    }

    deinit { Timekeeper.stop(monitor, state) }

    /// Calls the client's `timeReached` at `instant`, once, on the timekeeper's thread. A client
    /// has one alarm, its earliest: it asks again when it was woken.
    package func wake(_ client: any TimekeeperClient, at instant: MonotonicInstant) {
        let startsThread = monitor.withLock { () -> Bool in
            guard !state.isStopped else { return false }
            if let known = state.alarms.firstIndex(where: { $0.client === client }) {
                state.alarms[known].instant = min(state.alarms[known].instant, instant)
            } else {
                state.alarms.append(Alarm(instant: instant, client: client))
            }
            monitor.signal()
            defer { state.isStarted = true }
            return !state.isStarted
        }
        guard startsThread else { return }
        do {
            try NativeThread.start(name: "martlet-time") { [monitor, state, time] in
                Timekeeper.run(monitor, state, time)
            }
        } catch {
            monitor.withLock { state.isStarted = false }
        }
    }

    /// Ends the thread; alarms not yet due are forgotten.
    package func stop() { Timekeeper.stop(monitor, state) }

    private static func stop(_ monitor: Monitor, _ state: State) {
        monitor.withLock {
            state.isStopped = true
            monitor.broadcast()
        }
    }

    private static func run(_ monitor: Monitor, _ state: State, _ time: any TimeSource) {
        var due: [any TimekeeperClient] = []
        monitor.lock()
        while !state.isStopped {
            let now = time.now()
            state.alarms.removeAll { alarm in
                guard let client = alarm.client else { return true }
                guard alarm.instant <= now else { return false }
                due.append(client)
                return true
            }
            if due.isEmpty {
                monitor.wait(until: state.alarms.map(\.instant).min())
                continue
            }
            monitor.unlock()
            for client in due { client.timeReached(now) }
            due.removeAll()
            monitor.lock()
        }
        monitor.unlock()
    }
}
