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
        let entries = table.current.entries
        let ensembles = entries.filter { $0.value.latest?.configuration.ensemble != nil }.keys
        let time = SystemTime()
        let limit = time.now().advanced(by: options.drainTimeout)
        // An ensemble's requests still need its models.
        for names in [Set(ensembles), Set(entries.keys).subtracting(ensembles)] {
            for name in names { repository.unload(name) { _ in } }
            while !repository.isDrained(names), time.now() < limit {
                guard (try? await Task.sleep(for: .milliseconds(5))) != nil else { break }
            }
        }
        let isDrained = repository.isDrained(Set(entries.keys))
        if !isDrained { options.logger.warning("requests were still running when time was up") }
        timekeeper.stop()
        return isDrained
    }
}
