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
    private let base: UnsafeMutableRawPointer

    /// What the reader means to do with a part of the file.
    public enum Advice: Sendable {
        case willNeed, dontNeed, random, sequential
    }

    /// Maps the whole file. Throws for what is missing, unreadable, empty or not a regular file.
    public init(path: String) throws(StorageError) {
        let descriptor = try FileDescriptor(reading: path)
        count = try descriptor.regularFileSize()
        guard count > 0 else {
            throw StorageError(
                code: .emptyFile, path: path, message: "map '\(path)': the file is empty")
        }
        let address = unsafe mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor.number, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else {
            throw .system("map", path: path, errno: errno)
        }
        unsafe base = address
        self.path = path
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
