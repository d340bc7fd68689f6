// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels

/// The process-wide pool of kernel threads, shared by all engines of the process.
///
/// A loop's parts run on the pool's threads and on the caller, which waits (spinning briefly, then
/// asleep): call it from a thread of one's own, never from Swift's cooperative pool.
package enum KernelPool {
    /// Starts the pool with `threads` threads, the caller's included (0: one per core that this
    /// process may use), and returns the size in force: only the first start counts.
    @discardableResult
    package static func start(threads: Int = 0) -> Int {
        Int(martlet_pool_start(Int32(clamping: max(threads, 0))))
    }

    /// Threads a loop can use, the caller included. Starts the pool if need be.
    package static var size: Int { Int(martlet_pool_size()) }

    /// The instruction-set level that kernels run at: "avx512", "avx2", "neon" or "reference".
    package static var levelName: String {
        switch martlet_kernels_level() {
        case MARTLET_LEVEL_AVX512: "avx512"
        case MARTLET_LEVEL_AVX2: "avx2"
        case MARTLET_LEVEL_NEON: "neon"
        default: "reference"
        }
    }

    /// Calls `body` once for each part in `0 ..< parts`, in no order and on at most
    /// `maximumThreads` threads (0: all), and returns when all parts are done. A loop inside a part
    /// runs serially. Costs well under a microsecond while the workers are awake.
    package static func parallel(
        parts: Int, maximumThreads: Int = 0, _ body: @Sendable (_ part: Int) -> Void
    ) {
        withoutActuallyEscaping(body) { escapable in
            var context = Context(body: escapable)
            unsafe withUnsafeMutablePointer(to: &context) { pointer in
                unsafe martlet_parallel_for(
                    Int32(clamping: parts), Int32(clamping: max(maximumThreads, 0)), runPart,
                    pointer)
            }
        }
    }
}

private struct Context {
    var body: @Sendable (Int) -> Void
}

// A global function, because a closure literal made in actor-isolated code would check for its
// actor on the worker thread and trap.
private nonisolated func runPart(context: UnsafeMutableRawPointer?, part: Int32, parts: Int32) {
    unsafe context?.assumingMemoryBound(to: Context.self).pointee.body(Int(part))
}
