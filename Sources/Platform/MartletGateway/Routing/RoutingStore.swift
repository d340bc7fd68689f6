// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// The snapshot that is in force, changed while requests run.
///
/// Readers keep a `RoutingReader` each (one per event loop): a read is one atomic load and a
/// comparison, and takes the lock only after a change. Old snapshots live as long as a reader or a
/// request holds them.
package final class RoutingStore: Sendable {
    private struct State {
        var current: RoutingSnapshot
        var earlier: [RoutingSnapshot] = []
    }

    private let historyMax: Int
    private let generationNumber = Atomic<UInt64>(1)
    private let state: Mutex<State>

    /// Keeps up to `historyMax` earlier snapshots to roll back to.
    package init(_ snapshot: RoutingSnapshot, historyMax: Int = 8) {
        self.historyMax = max(historyMax, 0)
        state = Mutex(State(current: snapshot))
    }

    /// Counts changes, from 1.
    package var generation: UInt64 { generationNumber.load(ordering: .acquiring) }

    package func load() -> (snapshot: RoutingSnapshot, generation: UInt64) {
        state.withLock { ($0.current, generationNumber.load(ordering: .relaxed)) }
    }

    /// Puts a snapshot in force for every later decision.
    package func publish(_ snapshot: RoutingSnapshot) {
        state.withLock { state in
            state.earlier.append(state.current)
            if state.earlier.count > historyMax { state.earlier.removeFirst() }
            state.current = snapshot
            generationNumber.wrappingAdd(1, ordering: .releasing)
        }
    }

    /// Puts a snapshot in the place of the current one: rolling back does not lead to the old one.
    package func replace(with snapshot: RoutingSnapshot) {
        state.withLock { state in
            state.current = snapshot
            generationNumber.wrappingAdd(1, ordering: .releasing)
        }
    }

    /// Puts the snapshot before the current one back in force; false when there is none.
    package func rollBack() -> Bool {
        state.withLock { state in
            guard let previous = state.earlier.popLast() else { return false }
            state.current = previous
            generationNumber.wrappingAdd(1, ordering: .releasing)
            return true
        }
    }
}

/// One reader's view of a store; not to be shared between threads.
package struct RoutingReader {
    private let store: RoutingStore
    private var cached: RoutingSnapshot
    private var generation: UInt64

    package init(_ store: RoutingStore) {
        self.store = store
        (cached, generation) = store.load()
    }

    /// The snapshot in force.
    package mutating func snapshot() -> RoutingSnapshot {
        if store.generation != generation { (cached, generation) = store.load() }
        return cached
    }
}
