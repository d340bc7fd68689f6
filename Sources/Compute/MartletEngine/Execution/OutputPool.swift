// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletTensor
internal import Synchronization

/// Storage for a context's outputs, taken up again once nobody else holds it.
///
/// Not for use from several threads at once; the references that it handed out may be dropped on
/// any thread.
package struct OutputPool {
    /// The most storages kept, whether held by callers or free.
    static let countMax = 32

    private var storages: [TensorStorage] = []

    package init() {}

    /// Storage of at least `byteCount` bytes and at most four times that much.
    package mutating func take(byteCount: Int) throws(TensorError) -> TensorStorage {
        let needed = max(byteCount, 64)
        // Through a buffer: an array's accessor may allocate its coroutine frame.
        let free = unsafe storages.withUnsafeMutableBufferPointer { storages -> Int? in
            for index in storages.indices {
                let byteCount = unsafe storages[index].byteCount
                guard byteCount >= needed, byteCount / 4 <= needed else { continue }
                if unsafe isKnownUniquelyReferenced(&storages[index]) { return index }
            }
            return nil
        }
        if let free {
            // Pairs with the release of the last outside reference: its reads are over.
            atomicMemoryFence(ordering: .acquiring)
            return storages[free]
        }
        let storage = try TensorStorage(allocating: needed)
        if storages.count == OutputPool.countMax { dropOne() }
        storages.append(storage)
        return storage
    }

    private mutating func dropOne() {
        let free = storages.indices.first { isKnownUniquelyReferenced(&storages[$0]) }
        storages.remove(at: free ?? 0)
    }
}
