// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor
internal import Synchronization

/// Memory of past request bodies, used again for later ones once nobody else holds it. Large
/// blocks fresh from the system cost a page fault for every 4 KiB, more than reading the body.
struct BodyMemory {
    /// Larger blocks are not kept.
    private static let blockBytesMax = 4 << 20
    private static let blockBytesMin = 4 << 10
    private static let keptBytesMax = 16 << 20
    private static let keptCountMax = 24

    private var kept: [TensorStorage] = []
    private var keptBytes = 0
    private var next = 0

    /// Storage of at least `byteCount` bytes, uninitialised.
    mutating func take(byteCount: Int) -> TensorStorage {
        guard byteCount <= BodyMemory.blockBytesMax else {
            return TensorStorage(byteCount: byteCount)
        }
        for index in kept.indices {
            let capacity = kept[index].byteCount
            guard capacity >= byteCount, capacity / 4 <= max(byteCount, BodyMemory.blockBytesMin),
                isKnownUniquelyReferenced(&kept[index])
            else { continue }
            // The last holder may have read the block on another thread.
            atomicMemoryFence(ordering: .acquiring)
            return kept[index]
        }
        let size = max(byteCount, BodyMemory.blockBytesMin)
        let rounded = (size + size / 8 + 63) & ~63
        let storage = TensorStorage(byteCount: rounded)
        keep(storage)
        return storage
    }

    private mutating func keep(_ storage: TensorStorage) {
        let fits = keptBytes + storage.byteCount <= BodyMemory.keptBytesMax
        if fits, kept.count < BodyMemory.keptCountMax {
            kept.append(storage)
            keptBytes += storage.byteCount
        } else if !kept.isEmpty {
            // What is in use will be freed by its users; the newest size is the likelier to return.
            next = (next + 1) % kept.count
            let change = storage.byteCount - kept[next].byteCount
            guard keptBytes + change <= BodyMemory.keptBytesMax else { return }
            kept[next] = storage
            keptBytes += change
        }
    }
}
