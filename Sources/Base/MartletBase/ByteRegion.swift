// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A run of read-only bytes and the object that keeps them alive: a mapped file, a request's body,
/// a copied array.
///
/// Copying or slicing one costs a reference count and copies no byte.
// Sendable: the bytes are never written after the region is made, the pointer never changes, and
// the owner is only ever held.
@safe public struct ByteRegion: @unchecked Sendable {
    @usableFromInline let storage: UnsafeRawBufferPointer
    /// What must stay alive for `bytes` to be valid.
    public let owner: AnyObject

    /// Bytes that stay valid and unwritten as long as `owner` lives.
    public init(borrowing bytes: UnsafeRawBufferPointer, owner: AnyObject) {
        unsafe storage = bytes
        self.owner = owner
    }

    /// A copy of `bytes`, 64-byte aligned.
    public init(copying bytes: some Collection<UInt8>) {
        let copy = OwnedBytes(byteCount: bytes.count)
        unsafe copy.bytes.copyBytes(from: bytes)
        unsafe storage = UnsafeRawBufferPointer(copy.bytes)
        owner = copy
    }

    /// `byteCount` new bytes, 64-byte aligned and zero, that `fill` writes.
    public init<Failure: Error>(
        byteCount: Int, fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let owned = OwnedBytes(byteCount: byteCount)
        try unsafe fill(owned.bytes)
        unsafe storage = UnsafeRawBufferPointer(owned.bytes)
        owner = owned
    }

    @inlinable public var count: Int { unsafe storage.count }
    @inlinable public var isEmpty: Bool { unsafe storage.isEmpty }

    /// The bytes; valid while `owner` lives.
    @inlinable public var bytes: UnsafeRawBufferPointer { unsafe storage }

    @inlinable public subscript(offset: Int) -> UInt8 {
        precondition(offset >= 0 && offset < count, "byte offset out of range")
        return unsafe storage[offset]
    }

    /// The `count` bytes from `offset` on; nil when they do not all lie inside.
    public func slice(offset: Int, count: Int) -> ByteRegion? {
        guard offset >= 0, count >= 0, offset <= self.count, count <= self.count - offset else {
            return nil
        }
        let part = unsafe UnsafeRawBufferPointer(rebasing: storage[offset..<offset + count])
        return unsafe ByteRegion(borrowing: part, owner: owner)
    }

    /// Whether the first byte's address is a multiple of `alignment`, a power of two.
    public func isAligned(to alignment: Int) -> Bool {
        unsafe UInt(bitPattern: storage.baseAddress) & UInt(alignment - 1) == 0
    }

    /// Calls `body` with the bytes; the owner stays alive meanwhile.
    @inlinable
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(owner) {} }
        return try unsafe body(storage)
    }

    /// A copy of the bytes.
    public func copied() -> [UInt8] {
        unsafe withBytes { bytes in unsafe [UInt8](bytes) }
    }
}

/// The owner of bytes that were made here.
@safe private final class OwnedBytes {
    let bytes: UnsafeMutableRawBufferPointer
    private let allocation: UnsafeMutableRawBufferPointer

    init(byteCount: Int) {
        let allocation = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(byteCount, 1), alignment: 64)
        unsafe allocation.initializeMemory(as: UInt8.self, repeating: 0)
        unsafe self.allocation = allocation
        unsafe bytes = UnsafeMutableRawBufferPointer(rebasing: allocation[0..<byteCount])
    }

    deinit {
        unsafe allocation.deallocate()
    }
}
