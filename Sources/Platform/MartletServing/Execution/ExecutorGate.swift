// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// Counts the requests inside an executor, so that it closes only when the last is answered.
package final class ExecutorGate: Sendable {
    private struct State {
        var inside = 0
        var isClosed = false
        var onEmpty: (@Sendable () -> Void)?
    }

    private let inside = Mutex(State())

    package init() {}

    /// - Returns: false when closed; otherwise `leave` must follow, once.
    package func enter() -> Bool {
        inside.withLock { state in
            guard !state.isClosed else { return false }
            state.inside += 1
            return true
        }
    }

    package func leave() {
        let onEmpty = inside.withLock { state -> (@Sendable () -> Void)? in
            state.inside -= 1
            guard state.inside == 0, state.isClosed else { return nil }
            defer { state.onEmpty = nil }
            return state.onEmpty
        }
        onEmpty?()
    }

    /// Lets nobody in; `onEmpty` runs, once, when nobody is inside.
    package func close(onEmpty: @escaping @Sendable () -> Void) {
        let runsNow = inside.withLock { state -> Bool in
            guard !state.isClosed else { return false }
            state.isClosed = true
            if state.inside == 0 { return true }
            state.onEmpty = onEmpty
            return false
        }
        if runsNow { onEmpty() }
    }
}
