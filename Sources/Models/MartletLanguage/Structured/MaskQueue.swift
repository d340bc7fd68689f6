// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import Synchronization

/// Finds masks of tokens on a thread of its own, a short while at each in turn: a format that takes
/// long delays whoever asked for it, and nobody else.
package final class MaskQueue: Sendable {
    private let workers = WorkerPool(name: "martlet-masks", threads: 1, waitingMax: 4096)
    private let onReady: @Sendable () -> Void

    /// - Parameter onReady: called on the queue's thread whenever a mask is there.
    package init(onReady: @escaping @Sendable () -> Void) { self.onReady = onReady }

    /// Does some work after the other until it is done.
    /// - Parameters:
    ///   - work: about a millisecond; true when it is done.
    ///   - onRefusal: called at once where too much waits.
    func run(_ work: @escaping @Sendable () -> Bool, onRefusal: @escaping @Sendable () -> Void) {
        let isTaken = workers.submit { [self] in
            if work() { onReady() } else { run(work, onRefusal: onRefusal) }
        }
        guard !isTaken else { return }
        onRefusal()
        onReady()
    }
}

/// A mask that was asked for.
final class MaskTicket: Sendable {
    private let result = Mutex<MaskState>(.pending)

    var state: MaskState { result.withLock { $0 } }

    func settle(_ state: MaskState) { result.withLock { $0 = state } }
}

/// The work that one request's masks may take: so much at its start, more with each token.
///
/// A unit is a byte of a token; a place that is looked at counts as eight.
final class MaskBudget: Sendable {
    static let placeUnits = 8
    private static let startUnits = 48 << 20
    private static let tokenUnits = 1 << 20
    private let left = Mutex(MaskBudget.startUnits)

    func earn() {
        left.withLock { $0 = min($0 + MaskBudget.tokenUnits, MaskBudget.startUnits) }
    }

    /// - Returns: false when all is spent.
    func spend(_ units: Int) -> Bool {
        left.withLock { left in
            left -= units
            return left > 0
        }
    }
}
