// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase
internal import Synchronization

/// What a watched folder has to report.
public enum DirectoryChange: Sendable, Hashable {
    /// These entries changed and have come to rest: paths relative to the folder, as deep as
    /// `DirectoryWatcher.Options.groupDepth` says, sorted. They may also be gone.
    case changed([String])
    /// Look at everything: the folder vanished or came back, or changes were lost.
    case rescan
    /// A part of the folder cannot be watched; changes there may go unnoticed.
    case problem(StorageError)
}

/// Follows a folder such as a model repository by inotify and reports what changed once it has come
/// to rest.
///
/// Folders are watched down to `depthMax` levels, new ones as they appear, symbolic links to
/// folders too. The folder itself may be missing, vanish and reappear. Reports come on the
/// watcher's own thread, one at a time; a report that takes long delays the next, and loses
/// nothing that `rescan` does not make up for.
public final class DirectoryWatcher: Sendable {
    public struct Options: Sendable {
        /// Levels of folders below the root whose contents are watched.
        public var depthMax = 3
        /// How long an entry must be left alone before it is reported.
        public var quietPeriod = Duration.milliseconds(500)
        /// Changes are gathered by this many leading path components: 1 reports "model" for
        /// anything below `model/`, once all of it is quiet.
        public var groupDepth = 1
        /// The most folders that are watched.
        public var watchesMax = 16_384
        /// How often a missing folder is looked for, and one behind a link checked for having been
        /// exchanged: neither makes an event.
        public var folderCheckInterval = Duration.seconds(1)

        public init() {}
    }

    private let wake: WakePipe
    private let thread: Mutex<WatchThread?>

    /// Starts to watch. Throws when the system has no inotify instance or thread left.
    public init(
        folder: String, options: Options = Options(), time: any TimeSource = SystemTime(),
        onChange: @escaping @Sendable (DirectoryChange) -> Void
    ) throws(StorageError) {
        wake = try WakePipe()
        let loop = try WatchLoop(
            folder: folder, options: options, time: time, wake: wake, onChange: onChange)
        thread = Mutex(try WatchThread(path: folder) { loop.run() })
    }

    deinit {
        close()
    }

    /// Stops watching and waits for the thread, unless it is the one that calls. No report comes
    /// after this returns; one may be under way while it waits, so hold no lock that reports take.
    /// May be called again.
    public func close() {
        wake.signal()
        let running = thread.withLock { thread -> WatchThread? in
            defer { thread = nil }
            return thread
        }
        running?.join()
    }
}
