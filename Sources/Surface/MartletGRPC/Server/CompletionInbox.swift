// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import NIOCore
internal import Synchronization

/// Brings answers from other threads to a connection's event loop: however many come while the
/// loop is busy, it is woken once.
final class CompletionInbox: Sendable {
    private let eventLoop: any EventLoop
    private let items = Mutex<[@Sendable () -> Void]>([])

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func submit(_ item: @escaping @Sendable () -> Void) {
        let isFirst = items.withLock { items in
            items.append(item)
            return items.count == 1
        }
        if isFirst { eventLoop.execute { self.run() } }
    }

    private func run() {
        let taken = items.withLock { items in
            defer { items = [] }
            return items
        }
        for item in taken { item() }
    }
}
