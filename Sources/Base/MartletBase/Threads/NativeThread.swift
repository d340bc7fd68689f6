// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// A thread of our own, detached: kernels, models and loading never run on the cooperative pool.
package enum NativeThread {
    private final class Start {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Deep graphs recurse little, but kernels keep tiles on the stack.
    package static let stackBytes = 1 << 20

    /// Starts `body` on a new thread; `name` is for the error.
    package static func start(
        name: String, _ body: @escaping @Sendable () -> Void
    ) throws(ThreadFailure) {
        let attributes = UnsafeMutablePointer<pthread_attr_t>.allocate(capacity: 1)
        unsafe pthread_attr_init(attributes)
        defer {
            unsafe pthread_attr_destroy(attributes)
            unsafe attributes.deallocate()
        }
        unsafe pthread_attr_setstacksize(attributes, stackBytes)
        unsafe pthread_attr_setdetachstate(attributes, Int32(PTHREAD_CREATE_DETACHED))
        let start = unsafe Unmanaged.passRetained(Start(body))
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, attributes,
            { argument in
                if let argument = unsafe argument {
                    let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                    start.body()
                }
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            unsafe start.release()
            throw ThreadFailure(name: name, status: status)
        }
    }

    /// Runs `body` on a new thread and waits for what it answers, without holding one of the
    /// cooperative pool's.
    package static func run<Value: Sendable>(
        name: String, _ body: @escaping @Sendable () -> Value
    ) async throws(ThreadFailure) -> Value {
        let result: Result<Value, ThreadFailure> = await withCheckedContinuation { continuation in
            do throws(ThreadFailure) {
                try start(name: name) { continuation.resume(returning: .success(body())) }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        return try result.get()
    }
}

/// The system has no thread left to give.
package struct ThreadFailure: Error, CustomStringConvertible {
    package let name: String
    /// The system's error number.
    package let status: Int32

    package var description: String { "cannot start thread '\(name)' (error \(status))" }
}
