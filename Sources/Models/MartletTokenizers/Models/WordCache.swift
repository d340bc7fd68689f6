// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The ids of words seen before: a fixed number of fixed slots, each word with one place to be.
///
/// A new word replaces what is in its slot, so that no text, however chosen, makes it grow or slow.
struct WordCache: Sendable {
    private static let slotCount = 1 << 13
    private static let keyBytesMax = 30
    private static let idsMax = 8
    private static let keyStride = 32

    /// Per slot: key length, id count, key bytes. Made when the first word is stored.
    private var keys: [UInt8] = []
    private var values: [Int32] = []

    @inline(__always)
    static func hash(_ text: Span<UInt8>, _ piece: Piece) -> UInt64 {
        guard piece.count <= keyBytesMax else { return 0 }
        var hash = TokenIndex.emptyHash
        for index in piece.range { hash = TokenIndex.extend(hash, text[index]) }
        return hash
    }

    @inline(__always)
    private static func slot(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: (hash ^ (hash >> 31)) & UInt64(slotCount - 1))
    }

    /// Appends the word's ids when it is known.
    @inline(__always)
    func append(
        _ text: Span<UInt8>, _ piece: Piece, hash: UInt64, to ids: inout [Int32]
    ) -> Bool {
        guard piece.count <= WordCache.keyBytesMax, !keys.isEmpty else { return false }
        let slot = WordCache.slot(hash)
        let keys = keys.span
        let base = slot * WordCache.keyStride
        guard Int(keys[base]) == piece.count, piece.count > 0 else { return false }
        for offset in 0..<piece.count where keys[base + 2 + offset] != text[piece.start + offset] {
            return false
        }
        let values = values.span
        for index in 0..<Int(keys[base + 1]) {
            ids.append(values[slot * WordCache.idsMax + index])
        }
        return true
    }

    mutating func insert(
        _ text: Span<UInt8>, _ piece: Piece, hash: UInt64, ids: ArraySlice<Int32>
    ) {
        guard piece.count <= WordCache.keyBytesMax, ids.count <= WordCache.idsMax else { return }
        if keys.isEmpty {
            keys = Array(repeating: 0, count: WordCache.slotCount * WordCache.keyStride)
            values = Array(repeating: 0, count: WordCache.slotCount * WordCache.idsMax)
        }
        let slot = WordCache.slot(hash)
        let base = slot * WordCache.keyStride
        keys[base] = UInt8(truncatingIfNeeded: piece.count)
        keys[base + 1] = UInt8(truncatingIfNeeded: ids.count)
        for offset in 0..<piece.count { keys[base + 2 + offset] = text[piece.start + offset] }
        for (index, id) in ids.enumerated() { values[slot * WordCache.idsMax + index] = id }
    }
}
