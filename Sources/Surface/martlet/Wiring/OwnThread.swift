// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Runs blocking work on a thread of its own, because kernels must never hold a thread of Swift's
/// cooperative pool.
enum OwnThread {
    private static let stackBytes = 16 << 20

    /// Runs `body` and returns or throws what it does.
    static func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let work = Work { continuation.resume(with: Result(catching: body)) }
            var attributes = pthread_attr_t()
            unsafe pthread_attr_init(&attributes)
            unsafe pthread_attr_setstacksize(&attributes, stackBytes)
            unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
            var thread = pthread_t()
            let held = unsafe Unmanaged.passRetained(work)
            let status = unsafe pthread_create(&thread, &attributes, startThread, held.toOpaque())
            unsafe pthread_attr_destroy(&attributes)
            if status != 0 {
                unsafe held.release()
                continuation.resume(throwing: CommandFailure("no thread could be started"))
            }
        }
    }
}

private final class Work: Sendable {
    let body: @Sendable () -> Void

    init(body: @escaping @Sendable () -> Void) {
        self.body = body
    }
}

// A global function, because a closure literal would check for the actor it was made on.
private nonisolated func startThread(
    _ context: UnsafeMutableRawPointer?
) -> UnsafeMutableRawPointer? {
    guard let context = unsafe context else { return nil }
    unsafe Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
    return nil
}
