// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
public import MartletBase

/// A regular file's contents mapped read-only into memory; unmapped when the last reference goes.
///
/// Nothing is read until it is touched, and clean pages can be dropped by the kernel: opening costs
/// microseconds at any size. The mapping is private, but another process that *truncates* the file
/// while it is mapped makes touching the lost pages fatal (SIGBUS), which no check can rule out.
/// Map files that are replaced by rename (model weights); take `FileSystem.readAll` for small files
/// that somebody may rewrite in place.
// Sendable: base and count never change and the pages are read-only.
@safe public final class MappedFile: @unchecked Sendable {
    public let path: String
    public let count: Int
    /// What the file was when it was opened, whatever its path leads to by now.
    public let stamp: FileStamp
    /// When it was opened, on the clock that stamps are of.
    public let opened: Int64
    private let base: UnsafeMutableRawPointer

    /// What the reader means to do with a part of the file.
    public enum Advice: Sendable {
        case willNeed, dontNeed, random, sequential
    }

    /// Maps the whole file. Throws for what is missing, unreadable, empty or not a regular file.
    /// - Parameter largePages: asks for pages of 2 MiB, which file systems with large folios give;
    ///   reading large files is then about a quarter faster. Elsewhere it changes nothing.
    public init(path: String, largePages: Bool = false) throws(StorageError) {
        let descriptor = try FileDescriptor(reading: path)
        opened = FileStamp.now()
        stamp = try descriptor.regularFileStamp()
        count = stamp.byteCount
        guard count > 0 else {
            throw StorageError(
                code: .emptyFile, path: path, message: "map '\(path)': the file is empty")
        }
        let place = unsafe largePages ? MappedFile.place(byteCount: count) : nil
        let flags = unsafe place == nil ? MAP_PRIVATE : MAP_PRIVATE | MAP_FIXED
        let address = unsafe mmap(place, count, PROT_READ, flags, descriptor.number, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else {
            let number = errno
            if let place = unsafe place { unsafe munmap(place, count) }
            throw .system("map", path: path, errno: number)
        }
        if largePages { _ = unsafe madvise(address, count, MADV_HUGEPAGE) }
        unsafe base = address
        self.path = path
    }

    /// Addresses for a mapping that begin on a large page; nil where there are none.
    private static func place(byteCount: Int) -> UnsafeMutableRawPointer? {
        let large = 2 << 20
        let (size, overflow) = byteCount.addingReportingOverflow(2 * large)
        guard !overflow else { return nil }
        let whole = size / large * large
        let room = unsafe mmap(nil, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let room = unsafe room, unsafe room != MAP_FAILED else { return nil }
        let before = (large - Int(bitPattern: room) % large) % large
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let used = (byteCount + page - 1) / page * page
        if before > 0 { unsafe munmap(room, before) }
        unsafe munmap(room + before + used, whole - before - used)
        return unsafe room + before
    }

    deinit {
        unsafe munmap(base, count)
    }

    /// The file's bytes; valid while this object lives.
    public var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: base, count: count)
    }

    /// The file's bytes together with this object as their owner.
    public var region: ByteRegion { unsafe ByteRegion(borrowing: bytes, owner: self) }

    /// Tells the kernel how a range (default: the whole file) will be used; a hint, never an error.
    public func advise(_ advice: Advice, in range: Range<Int>? = nil) {
        let range = (range ?? 0..<count).clamped(to: 0..<count)
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        guard page > 0, !range.isEmpty else { return }
        let start = range.lowerBound / page * page
        let flag =
            switch advice {
            case .willNeed: MADV_WILLNEED
            case .dontNeed: MADV_DONTNEED
            case .random: MADV_RANDOM
            case .sequential: MADV_SEQUENTIAL
            }
        _ = unsafe madvise(base + start, range.upperBound - start, flag)
    }
}
