// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Logging
internal import MartletGateway
internal import MartletStorage

/// Watches gateway.yaml and puts a changed one in force; a bad one is refused whole, and what was
/// in force stays.
struct ConfigurationFile: Sendable {
    static let bytesMax = 64 << 20
    private static let interval = Duration.milliseconds(250)

    let path: String
    let store: RuntimeStore
    let logger: Logger

    /// What tells one state of the file from another.
    private struct Mark: Equatable {
        var device: UInt64 = 0
        var inode: UInt64 = 0
        var size: Int64 = -1
        var seconds = 0
        var nanoseconds = 0
    }

    /// Until cancelled.
    func watch() async {
        var seen = mark()
        while !Task.isCancelled {
            try? await Task.sleep(for: ConfigurationFile.interval)
            let current = mark()
            // A file that is being replaced is missing for a moment.
            guard current != seen, current.size >= 0 else { continue }
            seen = current
            reload()
        }
    }

    private func reload() {
        do {
            let bytes = try FileSystem.readAll(path, limit: ConfigurationFile.bytesMax)
            let snapshot = try RoutingSnapshot(yaml: bytes, file: path)
            let warnings = store.warnings(of: snapshot)
            try store.publish(snapshot)
            for warning in warnings {
                logger.warning("\(warning)", metadata: ["file": "\(path)"])
            }
            logger.info(
                "configuration changed",
                metadata: ["file": "\(path)", "generation": "\(store.generation)"])
        } catch {
            logger.error(
                "configuration refused; the one before stays in force",
                metadata: ["file": "\(path)", "reason": "\(error)"])
        }
    }

    private func mark() -> Mark {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return Mark() }
        return Mark(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino),
            size: Int64(status.st_size), seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec)
    }
}
