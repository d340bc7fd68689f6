// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// Bytes that many holders may hold together: what bounds each of them does not bound their sum.
///
/// Cost: one atomic addition for taking and one for giving back.
package final class ByteBudget: Sendable {
    package let byteCountMax: Int
    private let held = Atomic<Int>(0)

    package init(byteCountMax: Int) {
        self.byteCountMax = byteCountMax
    }

    /// What is held now.
    package var byteCount: Int { held.load(ordering: .relaxed) }

    /// Takes a share, if there is room for all of it: before the memory is.
    package func take(_ byteCount: Int) -> Bool {
        let total = held.add(byteCount, ordering: .relaxed).newValue
        if total <= byteCountMax { return true }
        held.subtract(byteCount, ordering: .relaxed)
        return false
    }

    package func giveBack(_ byteCount: Int) {
        held.subtract(byteCount, ordering: .relaxed)
    }

    /// Makes a share larger or smaller; false, and no change, when there is no room.
    package func change(from old: Int, to new: Int) -> Bool {
        if new > old { return take(new - old) }
        giveBack(old - new)
        return true
    }
}
