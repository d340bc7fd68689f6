// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletStorage

extension LocalModelHost {
    /// Applies changes of the folders until cancelled: as the watchers report what has come to
    /// rest, and by looking now and then, for what makes no event.
    func follow() async throws {
        let (reports, sender) = AsyncStream.makeStream(
            of: Set<String>.self, bufferingPolicy: .bufferingNewest(64))
        let watchers = options.entries.compactMap { watch($0.path, sender) }
        defer {
            for watcher in watchers { watcher.close() }
            sender.finish()
        }
        await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [interval = options.pollInterval] in
                while true {
                    try await Task.sleep(for: interval)
                    sender.yield([])
                }
            }
            var seen: [String: ModelCandidate] = [:]
            for await settled in reports { await poll(&seen, settled: settled) }
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    /// Watches a folder; nil for a file, or when the system has no watch left: looking remains.
    private func watch(
        _ path: String, _ sender: AsyncStream<Set<String>>.Continuation
    ) -> DirectoryWatcher? {
        guard FileSystem.isDirectory(path) else { return nil }
        var watching = DirectoryWatcher.Options()
        watching.quietPeriod = options.quietPeriod
        let logger = options.logger
        do throws(StorageError) {
            return try DirectoryWatcher(folder: path, options: watching) { change in
                switch change {
                case .changed(let names):
                    sender.yield(Set(names.map { PathName.join(path, $0) }))
                case .rescan: sender.yield([])
                case .problem(let error): logger.warning("cannot watch for models: \(error)")
                }
            }
        } catch {
            logger.warning("cannot watch '\(path)' for models: \(error)")
            return nil
        }
    }

    /// Looks once. A change is applied when a watcher says that it has come to rest, or when two
    /// looks found the same: a version that is still being written is left alone.
    private func poll(_ seen: inout [String: ModelCandidate], settled paths: Set<String>) async {
        let candidates: [ModelCandidate]
        do {
            candidates = try scanner.scan()
        } catch {
            options.logger.warning("cannot look for models: \(error)")
            return
        }
        let known = repository.candidates
        let changed = candidates.filter { known[$0.name] != $0 }
        let settled = changed.filter { candidate in
            seen[candidate.name] == candidate
                || paths.contains { path in
                    path == candidate.folder
                        || path.hasPrefix(candidate.folder + "/\(candidate.name).")
                        || FileSystem.isDirectory(candidate.folder)
                            && !path.hasSuffix(".onnx")
                            && path.hasPrefix(candidate.folder + "/")
                }
        }
        // A report says nothing about the others: they still need their second look.
        if paths.isEmpty {
            seen = Dictionary(changed.map { ($0.name, $0) }) { first, _ in first }
        }
        _ = await apply(settled)
        let present = Set(candidates.map(\.name))
        for name in known.keys where !present.contains(name) {
            options.logger.info("gone from the repository", metadata: ["model": "\(name)"])
            repository.unload(name, forgets: true) { _ in }
        }
    }
}
