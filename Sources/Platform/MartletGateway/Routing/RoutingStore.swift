// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// The snapshot that is in force, changed while requests run.
///
/// Readers keep a `SnapshotReader` each (one per event loop) and take the lock only after a change.
package final class RoutingStore: Sendable {
    private struct State {
        var current: RoutingSnapshot
        var earlier: [RoutingSnapshot] = []
    }

    private let historyMax: Int
    /// What readers compare.
    package let changes = SnapshotGeneration()
    private let state: Mutex<State>

    /// Keeps up to `historyMax` earlier snapshots to roll back to.
    package init(_ snapshot: RoutingSnapshot, historyMax: Int = 8) {
        self.historyMax = max(historyMax, 0)
        state = Mutex(State(current: snapshot))
    }

    /// Counts changes, from 1.
    package var generation: UInt64 { changes.value }

    package func makeReader() -> SnapshotReader<RoutingSnapshot> {
        SnapshotReader(changes) { [self] in load() }
    }

    package func load() -> (snapshot: RoutingSnapshot, generation: UInt64) {
        state.withLock { ($0.current, changes.value) }
    }

    /// Puts a snapshot in force for every later decision.
    package func publish(_ snapshot: RoutingSnapshot) {
        state.withLock { state in
            state.earlier.append(state.current)
            if state.earlier.count > historyMax { state.earlier.removeFirst() }
            state.current = snapshot
            changes.advance()
        }
    }

    /// Puts a snapshot in the place of the current one: rolling back does not lead to the old one.
    package func replace(with snapshot: RoutingSnapshot) {
        state.withLock { state in
            state.current = snapshot
            changes.advance()
        }
    }

    /// Puts the snapshot before the current one back in force; false when there is none.
    package func rollBack() -> Bool {
        state.withLock { state in
            guard let previous = state.earlier.popLast() else { return false }
            state.current = previous
            changes.advance()
            return true
        }
    }
}
