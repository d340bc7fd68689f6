// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// The bytes behind one or several tensors: owned, mapped from a file, or lent by somebody else.
///
/// Whoever holds a reference may read. Only the one that made the storage, or was handed it to
/// fill, may write, and not while others read: that rule is the caller's to keep, which is why the
/// type is unchecked.
// Sendable: the pointer never changes; writes are confined to the filling owner (rule above).
@safe public final class TensorStorage: @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int
    private let owner: AnyObject?

    /// The alignment of storage that Martlet allocates, in bytes.
    public static let alignment = 64

    /// Allocates `byteCount` uninitialised bytes (at least one), 64-byte aligned.
    ///
    /// Without that much memory the process ends: for sizes that follow from what is held already.
    public init(byteCount: Int) {
        guard let address = unsafe TensorStorage.allocate(byteCount) else {
            preconditionFailure("no memory for \(byteCount) bytes")
        }
        unsafe base = unsafe address
        self.byteCount = byteCount
        owner = nil
    }

    /// Allocates `byteCount` uninitialised bytes (at least one), 64-byte aligned: for sizes that a
    /// model or a request states.
    /// - Throws: `TensorError` where the memory is not to be had.
    public init(allocating byteCount: Int) throws(TensorError) {
        guard let address = unsafe TensorStorage.allocate(byteCount) else {
            throw TensorError(.noMemory, "no memory for a tensor of \(byteCount) bytes")
        }
        unsafe base = unsafe address
        self.byteCount = byteCount
        owner = nil
    }

    private static func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer? {
        var address: UnsafeMutableRawPointer?
        let status = unsafe posix_memalign(&address, alignment, max(byteCount, 1))
        return status == 0 ? unsafe address : nil
    }

    /// Bytes that live as long as `owner` does: a mapped file, a request body, a shared region.
    public init(borrowing base: UnsafeMutableRawPointer, byteCount: Int, owner: AnyObject) {
        unsafe self.base = base
        self.byteCount = byteCount
        self.owner = owner
    }

    deinit {
        if owner == nil { unsafe free(base) }
    }

    /// The object that lent the bytes; nil for storage of one's own.
    package var lender: AnyObject? { owner }

    /// Whether these bytes belong to another object and must not be written.
    public var isBorrowed: Bool { owner != nil }

    public var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: base, count: byteCount)
    }

    public var mutableBytes: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base, count: byteCount)
    }
}
