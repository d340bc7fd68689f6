// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// What changes when a file's contents do: enough to tell, without reading it, that a file is the
/// one it was, as long as nobody sets the clock back.
public struct FileStamp: Hashable, Sendable {
    public var device: UInt64
    public var node: UInt64
    public var byteCount: Int
    /// When its contents changed, in nanoseconds since 1970.
    public var modified: Int64
    /// When its contents, name or rights changed.
    public var changed: Int64

    public init(device: UInt64, node: UInt64, byteCount: Int, modified: Int64, changed: Int64) {
        self.device = device
        self.node = node
        self.byteCount = byteCount
        self.modified = modified
        self.changed = changed
    }

    /// The stamp of a regular file, links followed.
    public init(path: String) throws(StorageError) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            throw .system("inspect", path: path, errno: errno)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw StorageError(
                code: .notARegularFile, path: path,
                message: "inspect '\(path)': it is not a regular file")
        }
        self.init(status)
    }

    init(_ status: stat) {
        self.init(
            device: UInt64(status.st_dev), node: UInt64(status.st_ino),
            byteCount: Int(status.st_size), modified: FileStamp.nanoseconds(status.st_mtim),
            changed: FileStamp.nanoseconds(status.st_ctim))
    }

    /// The present time on the clock that stamps are of.
    public static func now() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return nanoseconds(time)
    }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
