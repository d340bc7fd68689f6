// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// One request's cancellation: set once from any thread, polled by kernels between steps.
///
/// A handler registered with `onCancel` runs once, on the cancelling thread, or at once when the
/// request was cancelled before.
public final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)
    private let handlers = Mutex<[@Sendable () -> Void]>([])

    public init() {}

    public var isCancelled: Bool { flag.load(ordering: .acquiring) }

    public func cancel() {
        let pending = handlers.withLock { handlers -> [@Sendable () -> Void] in
            if flag.exchange(true, ordering: .acquiringAndReleasing) { return [] }
            let pending = handlers
            handlers = []
            return pending
        }
        for handler in pending { handler() }
    }

    public func onCancel(_ handler: @escaping @Sendable () -> Void) {
        let runNow = handlers.withLock { handlers -> Bool in
            if flag.load(ordering: .acquiring) { return true }
            handlers.append(handler)
            return false
        }
        if runNow { handler() }
    }
}
