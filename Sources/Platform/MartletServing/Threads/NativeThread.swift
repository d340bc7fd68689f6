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
    /// - Throws: `ServingError.unavailable` when the system has no thread left to give.
    package static func start(
        name: String, _ body: @escaping @Sendable () -> Void
    ) throws(ServingError) {
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
            throw ServingError(.unavailable, "cannot start thread '\(name)' (error \(status))")
        }
    }
}
