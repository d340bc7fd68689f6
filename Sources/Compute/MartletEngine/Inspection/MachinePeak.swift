// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletBase

/// What this machine's processors do at best.
public enum MachinePeak {
    /// f32 operations a second of `threads` threads (0: all), measured: multiply-adds in registers,
    /// the best of several tries. Takes about 50 ms; for threads that may block.
    public static func operationsPerSecond(threads: Int = 0) -> Double {
        let parts = threads > 0 ? min(threads, KernelPool.size) : KernelPool.size
        let rounds: Int64 = 400_000
        let time = SystemTime()
        var best = 0.0
        for _ in 0..<8 {
            let begun = time.now()
            KernelPool.parallel(parts: parts, maximumThreads: parts) { _ in
                _ = martlet_peak_f32(rounds)
            }
            let elapsed = Double(begun.nanoseconds(to: time.now())) / 1e9
            if elapsed > 0 { best = max(best, Double(parts) / elapsed) }
        }
        return best * martlet_peak_f32(rounds)
    }
}
