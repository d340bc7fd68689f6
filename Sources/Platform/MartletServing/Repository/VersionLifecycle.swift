// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// One model version's life as a pure state machine.
///
///     unloaded → loading → warming → ready → draining → unloaded
///                   ↓         ↓                 ↓
///                 failed    failed           loading
///
/// One model changes at a time, so a version is never unloaded while it loads; it may be loaded
/// again while the last requests of its former self still run.
package struct VersionLifecycle: Sendable, Equatable {
    package enum Phase: Sendable, Equatable {
        case unloaded
        case loading
        case warming
        case ready
        case draining
        case failed(reason: String)
    }

    package enum Event: Sendable, Equatable {
        case load
        case loaded
        case warmed
        case failed(reason: String)
        case unload
        /// The last request inside has its answer.
        case drained
    }

    package private(set) var phase = Phase.unloaded

    package init() {}

    /// Changes the phase; an event that makes no sense in it changes nothing.
    package mutating func step(_ event: Event) {
        switch (phase, event) {
        case (.unloaded, .load), (.failed, .load), (.draining, .load): phase = .loading
        case (.loading, .loaded): phase = .warming
        case (.warming, .warmed): phase = .ready
        case (.loading, .failed(let reason)), (.warming, .failed(let reason)):
            phase = .failed(reason: reason)
        case (.ready, .unload): phase = .draining
        case (.draining, .drained), (.failed, .unload): phase = .unloaded
        default: break
        }
    }

    /// The state in the repository index, and the reason beside it.
    package var indexState: (state: RepositoryEntry.State, reason: String) {
        switch phase {
        case .unloaded: (.unavailable, "unloaded")
        case .loading, .warming: (.loading, "")
        case .ready: (.ready, "")
        case .draining: (.unloading, "")
        case .failed(let reason): (.unavailable, reason)
        }
    }
}
