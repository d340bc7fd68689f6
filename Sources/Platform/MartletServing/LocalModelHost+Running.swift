// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletBase
internal import ServiceLifecycle
internal import Synchronization

extension LocalModelHost {
    /// Starts if that has not happened, follows the folders in poll mode, and on graceful shutdown
    /// drains: new requests are refused, those inside are answered, at most for the drain time.
    ///
    /// A model that fails to load does not end it: the index names the reason, and a strict server
    /// is not ready.
    /// - Throws: `ServingError` when a path is missing or cannot be read.
    public func run() async throws {
        if phase.withLock({ $0 == .idle }) {
            _ = try scanner.scan()
            do {
                try await start()
            } catch {
                options.logger.error("some models did not load: \(error)")
            }
        }
        do {
            if options.controlMode == .poll {
                try await cancelWhenGracefulShutdown { try await self.follow() }
            } else {
                try await gracefulShutdown()
            }
        } catch is CancellationError {}
        await drain()
    }

    /// Refuses new requests and waits until those inside are answered, at most for the drain time.
    /// - Returns: whether all were.
    @discardableResult
    public func drain() async -> Bool {
        phase.withLock { $0 = .draining }
        let all = Set(table.current.entries.keys)
        let time = SystemTime()
        let limit = time.now().advanced(by: options.drainTimeout)
        var waits = true
        var isCancelled = false
        while waits, case let left = table.current, !left.entries.isEmpty {
            // An ensemble's requests still need its models: those go when it is empty.
            let names = left.independent
            for name in names { repository.unload(name) { _ in } }
            while waits, !repository.isDrained(names) {
                isCancelled = (try? await Task.sleep(for: .milliseconds(5))) == nil
                waits = !isCancelled && time.now() < limit
            }
        }
        for name in table.current.entries.keys { repository.unload(name) { _ in } }
        let isDrained = repository.isDrained(all)
        if !isDrained, !isCancelled {
            options.logger.warning("requests were still running when time was up")
        }
        timekeeper.stop()
        return isDrained
    }
}
