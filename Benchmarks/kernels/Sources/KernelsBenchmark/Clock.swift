// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Seconds: of this thread's processor time with one thread, of the wall's with more.
struct Clock {
    var threads: Int32

    var seconds: Double {
        var time = timespec()
        clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Seconds of one call of body: the median of 15 blocks of at least 20 ms.
    func median(_ body: () -> Void) -> Double {
        body()
        let blocks = (0..<15).map { _ in
            let start = seconds
            var calls = 0.0
            var taken = 0.0
            repeat {
                body()
                calls += 1
                taken = seconds - start
            } while taken < 0.02
            return taken / calls
        }
        return blocks.sorted()[7]
    }
}

/// Zeroed, page-aligned memory that lives as long as the process.
func floats(_ count: Int, random: Bool = true) -> UnsafeMutablePointer<Float> {
    let bytes = max(count, 1) * 4
    let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 4096)
    let pointer = raw.bindMemory(to: Float.self, capacity: count)
    var state: UInt32 = 1
    for index in 0..<count {
        state = state &* 1_664_525 &+ 1_013_904_223
        pointer[index] = random ? Float(state >> 8) / Float(1 << 23) - 1 : 0
    }
    return pointer
}

func room(_ bytes: Int) -> UnsafeMutableRawPointer {
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 1), alignment: 4096)
    memset(raw, 0, max(bytes, 1))
    return raw
}
