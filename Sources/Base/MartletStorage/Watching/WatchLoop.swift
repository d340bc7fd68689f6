// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase

/// The watcher's thread: waits for the kernel, keeps the watches in step with the folders, and
/// hands what came to rest to the callback.
// Sendable: everything mutable is touched by `run` alone, which one thread calls once.
final class WatchLoop: @unchecked Sendable {
    private let folder: String
    private let options: DirectoryWatcher.Options
    private let time: any TimeSource
    private let wake: WakePipe
    private let onChange: @Sendable (DirectoryChange) -> Void
    private let descriptor: Int32
    private var table = WatchTable()
    private var quiet: QuietPeriod
    private var isRootWatched = false
    private var rootIdentity: FileSystem.Identity?
    private var nextRootCheck: MonotonicInstant
    private var hasReportedLimit = false

    init(
        folder: String, options: DirectoryWatcher.Options, time: any TimeSource, wake: WakePipe,
        onChange: @escaping @Sendable (DirectoryChange) -> Void
    ) throws(StorageError) {
        descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
        guard descriptor >= 0 else { throw .system("watch", path: folder, errno: errno) }
        self.folder = folder
        self.options = options
        self.time = time
        self.wake = wake
        self.onChange = onChange
        quiet = QuietPeriod(options.quietPeriod)
        nextRootCheck = time.now().advanced(by: options.folderCheckInterval)
        // Before the thread starts: what happens after `init` returns is noticed.
        isRootWatched = watchRoot()
    }

    deinit {
        close(descriptor)
    }

    /// Until the wake pipe is signalled.
    func run() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while wait() {
            readEvents(&buffer)
            checkRoot()
            report()
        }
    }

    /// Waits for events or the next deadline; false when it is time to stop.
    private func wait() -> Bool {
        var polled = [
            pollfd(fd: wake.readEnd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
        ]
        _ = unsafe poll(&polled, nfds_t(polled.count), waitMilliseconds())
        return polled[0].revents == 0
    }

    private func waitMilliseconds() -> Int32 {
        var limits: [Duration] = []
        if let deadline = quiet.nextDeadline { limits.append(time.now().duration(to: deadline)) }
        limits.append(time.now().duration(to: nextRootCheck))
        let limit = limits.min() ?? .zero
        // Rounded up, so that the deadline has passed when the wait is over.
        let milliseconds = limit.nanosecondsSaturating / 1_000_000 + 1
        return Int32(clamping: max(milliseconds, 0))
    }

    private func readEvents(_ buffer: inout [UInt8]) {
        // Bounded: a folder that changes without pause must not keep reports back.
        for _ in 0..<64 {
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe read(descriptor, bytes.baseAddress, bytes.count)
            }
            guard count > 0 else { return }
            let events = unsafe buffer.withUnsafeBytes { bytes in
                unsafe WatchEvent.parse(UnsafeRawBufferPointer(rebasing: bytes[0..<count]))
            }
            for event in events { handle(event) }
        }
    }

    private func report() {
        if quiet.takeOverflow() { onChange(.rescan) }
        let stable = quiet.takeStable(at: time.now())
        if !stable.isEmpty { onChange(.changed(stable)) }
    }

    // MARK: Events

    private func handle(_ event: WatchEvent) {
        if event.mask & UInt32(IN_Q_OVERFLOW) != 0 {
            // Folders may have come and gone unseen: set all watches anew.
            dropTree("")
            isRootWatched = watchRoot()
            return quiet.overflow()
        }
        let parents = table.paths(of: event.watch)
        if event.mask & UInt32(IN_IGNORED) != 0 { table.remove(event.watch) }
        if event.mask & UInt32(IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF) != 0 {
            if parents.contains("") { loseRoot() }
            return
        }
        guard !event.name.isEmpty else { return }
        for parent in parents { handle(event, in: parent) }
    }

    private func handle(_ event: WatchEvent, in parent: String) {
        let path = parent.isEmpty ? event.name : parent + "/" + event.name
        if event.mask & UInt32(IN_DELETE | IN_MOVED_FROM) != 0 { dropTree(path) }
        if event.mask & UInt32(IN_CREATE | IN_MOVED_TO) != 0 {
            // A link to a folder is a folder here, though the kernel does not say so.
            if FileSystem.isDirectory(PathName.join(folder, path)) {
                _ = watchTree(path, depth: depth(of: path))
            }
        }
        note(path, isWhole: event.mask & UInt32(IN_MOVED_TO) != 0)
    }

    private func note(_ path: String, isWhole: Bool) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        let group = parts.prefix(max(options.groupDepth, 1)).joined(separator: "/")
        quiet.note(group, at: time.now(), isWhole: isWhole)
    }

    private func loseRoot() {
        guard isRootWatched else { return }
        isRootWatched = false
        dropTree("")
        quiet.overflow()
    }

    /// Now and then: is the folder that is watched still the one that the path names?
    private func checkRoot() {
        let now = time.now()
        guard now >= nextRootCheck else { return }
        nextRootCheck = now.advanced(by: options.folderCheckInterval)
        guard let identity = FileSystem.identity(of: folder) else { return loseRoot() }
        if isRootWatched, identity == rootIdentity { return }
        dropTree("")
        isRootWatched = watchRoot()
        if isRootWatched { quiet.overflow() }
    }

    private func watchRoot() -> Bool {
        rootIdentity = FileSystem.identity(of: folder)
        return rootIdentity != nil && watchTree("", depth: 0)
    }

    // MARK: Watches

    private func depth(of path: String) -> Int {
        path.isEmpty ? 0 : path.utf8.count { $0 == UInt8(ascii: "/") } + 1
    }

    /// Watches a folder and those below it; whether the folder itself is watched. Entries that are
    /// there already count as changed where the folder is new.
    private func watchTree(_ path: String, depth: Int) -> Bool {
        guard depth <= options.depthMax else { return false }
        guard table.count < options.watchesMax else {
            reportLimit("the limit of \(options.watchesMax) watched folders is reached")
            return false
        }
        let full = path.isEmpty ? folder : PathName.join(folder, path)
        let mask =
            UInt32(IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_DELETE | IN_MOVED_TO)
            | UInt32(IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF)
            | UInt32(IN_ONLYDIR) | UInt32(IN_EXCL_UNLINK)
        let watch = unsafe inotify_add_watch(descriptor, full, mask)
        guard watch >= 0 else {
            if errno == ENOSPC { reportLimit(StorageError.errorText(ENOSPC)) }
            return false
        }
        guard table.add(watch, path: path) else { return true }
        guard let names = try? FileSystem.list(full) else { return true }
        for name in names {
            let child = path.isEmpty ? name : path + "/" + name
            if FileSystem.isDirectory(PathName.join(folder, child)) {
                _ = watchTree(child, depth: depth + 1)
            }
        }
        return true
    }

    private func dropTree(_ path: String) {
        for watch in table.removeTree(path) { inotify_rm_watch(descriptor, watch) }
    }

    private func reportLimit(_ reason: String) {
        guard !hasReportedLimit else { return }
        hasReportedLimit = true
        onChange(
            .problem(
                StorageError(
                    code: .tooLarge, path: folder,
                    message: "watch '\(folder)': not every folder can be watched: \(reason)")))
    }
}
