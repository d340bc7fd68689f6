// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// A file that is written beside its place and takes it whole, by one rename, or not at all.
///
/// Readers see the old contents or the new ones. What is not committed is gone when the value is.
@safe public struct FileReplacement: ~Copyable {
    public let path: String
    /// Where the contents lie until they are committed.
    public let temporaryPath: String
    public private(set) var byteCount = 0
    private let number: Int32
    private var isCommitted = false
    /// What is not written yet: the file's last bytes.
    private var waiting: UnsafeMutableRawBufferPointer
    private var waitingCount = 0

    /// Large files are written in pieces of large pages: file systems that can then keep them on
    /// such pages, and mappings of them are cheaper to read.
    private static let pieceByteCount = 2 << 20

    /// Creates the new file in the folder of `path`.
    /// - Parameter isPrivate: readable by this user alone; otherwise as files that a program makes.
    public init(path: String, isPrivate: Bool = true) throws(StorageError) {
        self.path = path
        var template = Array((path + ".XXXXXX").utf8CString)
        let number = unsafe mkstemp(&template)
        guard number >= 0 else { throw .system("create beside", path: path, errno: errno) }
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        if !isPrivate {
            // The mask can only be read by setting it.
            let mask = umask(0o077)
            _ = umask(mask)
            _ = fchmod(number, 0o666 & ~mask)
        }
        self.number = number
        unsafe waiting = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        temporaryPath = String(
            decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        unsafe waiting.deallocate()
        close(number)
        if !isCommitted { _ = unsafe unlink(temporaryPath) }
    }

    /// Adds bytes at the end.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) throws(StorageError) {
        if unsafe waiting.isEmpty {
            unsafe waiting = .allocate(
                byteCount: FileReplacement.pieceByteCount, alignment: 4096)
        }
        var done = 0
        while done < bytes.count {
            let count = unsafe min(bytes.count - done, waiting.count - waitingCount)
            let room = unsafe UnsafeMutableRawBufferPointer(
                rebasing: waiting[waitingCount..<waitingCount + count])
            unsafe room.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[done..<done + count]))
            waitingCount += count
            byteCount += count
            done += count
            if unsafe waitingCount == waiting.count { try flush() }
        }
    }

    /// Writes what waits, so that the file at `temporaryPath` has all that was added.
    public mutating func flush() throws(StorageError) {
        guard waitingCount > 0 else { return }
        let rest = unsafe UnsafeRawBufferPointer(rebasing: waiting[..<waitingCount])
        try unsafe write(rest, at: byteCount - waitingCount)
        waitingCount = 0
    }

    /// Adds zeros until the size is a multiple of `alignment`.
    public mutating func pad(to alignment: Int) throws(StorageError) {
        let rest = byteCount % alignment
        guard rest > 0 else { return }
        let zeros = UnsafeMutableRawBufferPointer.allocate(
            byteCount: alignment - rest, alignment: 1)
        defer { unsafe zeros.deallocate() }
        unsafe zeros.initializeMemory(as: UInt8.self, repeating: 0)
        try unsafe append(UnsafeRawBufferPointer(zeros))
    }

    /// Writes over bytes that are there.
    public mutating func overwrite(
        _ bytes: UnsafeRawBufferPointer, at offset: Int
    ) throws(StorageError) {
        precondition(offset >= 0 && offset + bytes.count <= byteCount, "outside the file")
        try flush()
        try unsafe write(bytes, at: offset)
    }

    /// Puts the file in its place, contents first.
    /// - Parameter durably: waits for the disk, so that after a loss of power the file is the old
    ///   or the new one. Without it a torn file may be found: for caches that check what they read.
    public mutating func commit(durably: Bool = true) throws(StorageError) {
        try flush()
        guard !durably || fdatasync(number) == 0, unsafe rename(temporaryPath, path) == 0 else {
            throw .system("replace", path: path, errno: errno)
        }
        isCommitted = true
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StorageError) {
        var done = 0
        while done < bytes.count {
            guard let base = bytes.baseAddress else { return }
            let count = unsafe pwrite(number, base + done, bytes.count - done, off_t(offset + done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system("write", path: path, errno: errno) }
            done += count
        }
    }
}

extension FileSystem {
    /// Makes a folder, and those around it, for this user.
    public static func makeFolder(_ path: String) throws(StorageError) {
        if isDirectory(path) { return }
        let parent = PathName.directory(path)
        if parent != path, !parent.isEmpty { try makeFolder(parent) }
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw .system("make the folder", path: path, errno: errno)
        }
    }

    /// Removes a file; one that is not there is no error.
    public static func removeFile(_ path: String) throws(StorageError) {
        guard unsafe unlink(path) == 0 || errno == ENOENT else {
            throw .system("remove", path: path, errno: errno)
        }
    }

    /// Sets a file's time of modification to now.
    public static func touch(_ path: String) throws(StorageError) {
        guard unsafe utimensat(AT_FDCWD, path, nil, 0) == 0 else {
            throw .system("touch", path: path, errno: errno)
        }
    }
}
