// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletPlatform

/// Keeps the processor busy for about `count` times 40 nanoseconds, in the way that leaves most to
/// a sibling thread: for waits shorter than a sleep and a wake-up, which cost some microseconds.
package func spinBriefly(_ count: Int) {
    martlet_spin(Int32(clamping: count))
}
