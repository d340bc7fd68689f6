// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Synchronization

/// Counts the bytes of messages that are still arriving, over all connections of a server.
final class MessageBudget: Sendable {
    private let held = Atomic<Int>(0)
    private let bytesMax: Int

    init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    /// Replaces one stream's share; false when the whole is now over the limit.
    func change(from old: Int, to new: Int) -> Bool {
        let total = held.add(new - old, ordering: .relaxed).newValue
        return new <= old || total <= bytesMax
    }
}
