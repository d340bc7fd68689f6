// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
public import MartletTensor

/// A request's body, in one piece and aligned for tensors that view it.
public struct HTTPBody: Sendable {
    /// The memory; tensors may share it.
    public let storage: TensorStorage
    /// Where the body begins in `storage`.
    public let offset: Int
    public let count: Int

    static let empty = HTTPBody(storage: TensorStorage(byteCount: 0), offset: 0, count: 0)

    /// Valid while `storage` lives.
    public var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: storage.bytes[offset..<offset + count])
    }
}

/// Collects a body as it arrives.
///
/// The place that binary tensors begin at, when the head tells it, is put on an aligned address, so
/// that they can be used where they lie.
struct BodyCollector {
    private var storage: TensorStorage
    private let offset: Int
    private var count = 0

    /// - Parameters:
    ///   - length: the announced length, or a first guess.
    ///   - memory: makes storage of at least so many bytes.
    init(
        length: Int, alignedPlace: Int = 0,
        memory: (_ byteCount: Int) -> TensorStorage = { TensorStorage(byteCount: $0) }
    ) {
        let alignment = TensorStorage.alignment
        let place = max(alignedPlace, 0) % alignment
        offset = place == 0 ? 0 : alignment - place
        storage = memory(offset + length)
    }

    var byteCount: Int { count }

    /// - Parameter mayGrow: asked before more memory is taken, with how much more.
    /// - Returns: false when it may not.
    mutating func append(
        _ bytes: UnsafeRawBufferPointer, mayGrow: (_ byteCount: Int) -> Bool = { _ in true }
    ) -> Bool {
        let needed = offset + count + bytes.count
        if needed > storage.byteCount {
            let size = max(needed, storage.byteCount * 2)
            guard mayGrow(size - storage.byteCount) else { return false }
            let larger = TensorStorage(byteCount: size)
            unsafe memcpy(larger.base, storage.base, offset + count)
            storage = larger
        }
        if let base = bytes.baseAddress {
            unsafe memcpy(storage.base + offset + count, base, bytes.count)
        }
        count += bytes.count
        return true
    }

    /// Receives the body's next bytes, at most `countMax`, where they will stay.
    mutating func receive(from socket: PlainSocket, countMax: Int) -> Int {
        let place = offset + count
        let room = min(countMax, storage.byteCount - place)
        guard room > 0 else { return 0 }
        let received = unsafe socket.receive(
            into: UnsafeMutableRawBufferPointer(
                rebasing: storage.mutableBytes[place..<place + room]))
        count += received
        return received
    }

    consuming func finish() -> HTTPBody {
        HTTPBody(storage: storage, offset: offset, count: count)
    }
}
