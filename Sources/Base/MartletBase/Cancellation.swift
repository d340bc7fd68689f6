// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// One request's cancellation: set once from any thread, polled by kernels between steps.
///
/// A handler registered with `onCancel` runs once, on the cancelling thread, or at once when the
/// request was cancelled before.
public final class Cancellation: Sendable {
    /// Names a handler, to take it back.
    package struct Registration: Sendable {
        fileprivate var number: UInt64
    }

    private struct Handlers {
        /// In the order of their numbers.
        var waiting: [(number: UInt64, body: @Sendable () -> Void)] = []
        var nextNumber: UInt64 = 0
    }

    private let flag = Atomic<Bool>(false)
    private let handlers = Mutex(Handlers())

    public init() {}

    public var isCancelled: Bool { flag.load(ordering: .acquiring) }

    /// Not cancelled, and with no handler: as good as new.
    package var isUntouched: Bool {
        handlers.withLock { $0.waiting.isEmpty && !flag.load(ordering: .acquiring) }
    }

    public func cancel() {
        let pending = handlers.withLock { handlers -> [(UInt64, @Sendable () -> Void)] in
            if flag.exchange(true, ordering: .acquiringAndReleasing) { return [] }
            defer { handlers.waiting = [] }
            return handlers.waiting
        }
        for (_, handler) in pending { handler() }
    }

    public func onCancel(_ handler: @escaping @Sendable () -> Void) {
        if register(handler) == nil { handler() }
    }

    /// As `onCancel`, but a handler that comes too late is not called. May be called under a lock
    /// that handlers take.
    /// - Returns: nil when cancelled before.
    package func register(_ handler: @escaping @Sendable () -> Void) -> Registration? {
        handlers.withLock { handlers -> Registration? in
            if flag.load(ordering: .acquiring) { return nil }
            let number = handlers.nextNumber
            handlers.nextNumber += 1
            handlers.waiting.append((number, handler))
            return Registration(number: number)
        }
    }

    /// Takes a handler back: what ends long before its cancellation, as one request of a stream,
    /// leaves nothing behind. Cost: O(handlers registered before it and not taken back).
    package func forget(_ registration: Registration) {
        handlers.withLock { handlers in
            let index = handlers.waiting.firstIndex { $0.number == registration.number }
            if let index { handlers.waiting.remove(at: index) }
        }
    }
}
