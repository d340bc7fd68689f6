// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// One model version's life as a pure state machine.
///
///     unloaded → loading → warming → ready → draining → unloaded
///                   ↓         ↓
///                 failed    failed
///
/// A version that is unloaded while it loads is dropped as soon as the load returns.
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

    /// What the shell must do next.
    package enum Action: Sendable, Equatable {
        case startLoading
        case startWarming
        /// Put the version into the table that requests read.
        case publish
        /// Take it out of the table, then close it.
        case retire
        /// Free what was loaded; it was never published.
        case discard
    }

    package private(set) var phase = Phase.unloaded
    private var isUnwanted = false

    package init() {}

    /// Changes the phase; an event that makes no sense in it changes nothing.
    package mutating func step(_ event: Event) -> Action? {
        switch (phase, event) {
        case (.unloaded, .load), (.failed, .load):
            phase = .loading
            isUnwanted = false
            return .startLoading
        case (.loading, .load), (.warming, .load):
            isUnwanted = false
            return nil
        case (.loading, .loaded):
            if isUnwanted {
                phase = .unloaded
                return .discard
            }
            phase = .warming
            return .startWarming
        case (.warming, .warmed):
            if isUnwanted {
                phase = .unloaded
                return .discard
            }
            phase = .ready
            return .publish
        case (.loading, .failed(let reason)), (.warming, .failed(let reason)):
            phase = isUnwanted ? .unloaded : .failed(reason: reason)
            return nil
        case (.loading, .unload), (.warming, .unload):
            isUnwanted = true
            return nil
        case (.ready, .unload):
            phase = .draining
            return .retire
        case (.draining, .drained):
            phase = .unloaded
            return nil
        case (.failed, .unload):
            phase = .unloaded
            return nil
        default:
            return nil
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
