// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// A thread of its own: what blocks must not run on Swift's cooperative pool.
@safe package final class TestThread {
    private var thread = pthread_t()

    package init(_ body: @escaping @Sendable () -> Void) {
        let box = unsafe Unmanaged.passRetained(Body(body))
        let status = unsafe pthread_create(&thread, nil, runBody, box.toOpaque())
        precondition(status == 0, "no thread")
    }

    /// Blocks the calling thread.
    package static func sleep(_ duration: Duration) {
        usleep(UInt32(clamping: duration.components.attoseconds / 1_000_000_000_000))
    }

    package func join() { _ = pthread_join(thread, nil) }
}

private final class Body: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

// A global function, because a closure literal may check for an actor and trap.
private nonisolated func runBody(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let raw = unsafe raw {
        unsafe Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().body()
    }
    return nil
}
