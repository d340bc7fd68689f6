// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Synchronization

/// A turn at the kernels' level, which the whole process shares: one holder at a time.
///
/// Held by tests that force a level, and by those that expect the same bits of two runs.
package final class KernelLevelTurn: Sendable {
    private static let isTaken = Atomic(false)

    /// Waits for the turn; it ends with the object.
    package init() {
        while KernelLevelTurn.isTaken.exchange(true, ordering: .acquiring) { _ = usleep(1000) }
    }

    deinit { KernelLevelTurn.isTaken.store(false, ordering: .releasing) }
}
