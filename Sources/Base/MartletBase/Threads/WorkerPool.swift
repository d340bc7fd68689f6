// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A few threads of our own and a bounded queue of work for them.
package final class WorkerPool: Sendable {
    package typealias Work = @Sendable () -> Void

    // Sendable: read and written under `monitor` only.
    private final class State: @unchecked Sendable {
        private var queue: [Work?] = []
        private var first = 0
        var threads = 0
        var idle = 0
        var isStopped = false

        var waitingCount: Int { queue.count - first }

        func append(_ work: @escaping Work) { queue.append(work) }

        /// Cost: O(1) amortised; the front is cut off once it is half of the queue.
        func popFirst() -> Work? {
            guard first < queue.count, let work = queue[first] else { return nil }
            queue[first] = nil
            first += 1
            if first * 2 >= queue.count {
                queue.removeFirst(first)
                first = 0
            }
            return work
        }
    }

    private let name: String
    private let threadCountMax: Int
    private let waitingMax: Int
    private let monitor = Monitor()
    private let state = State()

    /// Threads start as work comes, up to `threads`.
    package init(name: String, threads: Int, waitingMax: Int) {
        self.name = name
        threadCountMax = max(1, threads)
        self.waitingMax = max(1, waitingMax)
    }

    deinit { WorkerPool.stop(monitor, state) }

    package var waitingCount: Int { monitor.withLock { state.waitingCount } }

    /// - Returns: false when the queue is full or the pool has stopped; the work will not run.
    package func submit(_ work: @escaping Work) -> Bool {
        monitor.lock()
        guard !state.isStopped, state.waitingCount < waitingMax else {
            monitor.unlock()
            return false
        }
        state.append(work)
        let startsThread = state.idle == 0 && state.threads < threadCountMax
        if startsThread { state.threads += 1 }
        monitor.signal()
        monitor.unlock()
        if startsThread { startThread() }
        return true
    }

    /// Threads end once what waits is done; nothing more is taken.
    package func stop() { WorkerPool.stop(monitor, state) }

    private static func stop(_ monitor: Monitor, _ state: State) {
        monitor.withLock {
            state.isStopped = true
            monitor.broadcast()
        }
    }

    private func startThread() {
        do {
            try NativeThread.start(name: name) { [monitor, state] in
                WorkerPool.run(monitor, state)
            }
        } catch {
            // Another thread, or the next submission, will take the work up.
            monitor.withLock { state.threads -= 1 }
        }
    }

    private static func run(_ monitor: Monitor, _ state: State) {
        monitor.lock()
        while true {
            if let work = state.popFirst() {
                monitor.unlock()
                work()
                monitor.lock()
            } else if state.isStopped {
                state.threads -= 1
                monitor.unlock()
                return
            } else {
                state.idle += 1
                monitor.wait()
                state.idle -= 1
            }
        }
    }
}
