// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The tokens of a model by id, and their ids by content.
struct Vocabulary: Sendable {
    /// The contents, back to back.
    private(set) var bytes: [UInt8] = []
    /// Where each id's content lies in `bytes`; empty where the id is not used.
    private(set) var pieces: [Piece] = []
    private(set) var index = TokenIndex()

    init() {}

    /// - Parameter tokens: every token with its id, and whether words may be looked up as it; ids
    ///   need not be in order nor without gaps.
    init(_ tokens: [(content: [UInt8], id: Int, isIndexed: Bool)]) {
        let count = (tokens.lazy.map(\.id).max() ?? -1) + 1
        pieces = Array(repeating: Piece(start: 0, end: 0), count: count)
        bytes.reserveCapacity(tokens.reduce(0) { $0 + $1.content.count })
        for (content, id, _) in tokens {
            pieces[id] = Piece(start: bytes.count, end: bytes.count + content.count)
            bytes.append(contentsOf: content)
        }
        index = TokenIndex(
            tokens.filter(\.isIndexed).map { ($0.content, Int32(truncatingIfNeeded: $0.id)) })
    }

    /// Ids are below this.
    var count: Int { pieces.count }

    func content(of id: Int) -> ArraySlice<UInt8>? {
        guard id >= 0, id < pieces.count else { return nil }
        return bytes[pieces[id].range]
    }

    func id(of content: [UInt8]) -> Int32? {
        index.id(of: content.span, Piece(start: 0, end: content.count))
    }
}

/// Ids by content: an open-addressed table over one byte arena, at most half full.
///
/// The hash (FNV-1a) grows byte by byte, so that all prefixes of a word are hashed in one pass.
struct TokenIndex: Sendable {
    private var arena: [UInt8] = []
    private var entries: [Entry] = []
    /// The hash's upper half beside the entry's number + 1; 0 is free.
    private var slots: [UInt64] = [0]
    private var mask = 0
    private(set) var tokenBytesMax = 0

    private struct Entry: Sendable {
        var start: Int
        var count: Int
        var id: Int32
    }

    init() {}

    /// Of two equal contents the later wins.
    init(_ tokens: [(content: [UInt8], id: Int32)]) {
        var capacity = 16
        while capacity < tokens.count * 2 { capacity *= 2 }
        slots = Array(repeating: 0, count: capacity)
        mask = capacity - 1
        entries.reserveCapacity(tokens.count)
        arena.reserveCapacity(tokens.reduce(0) { $0 + $1.content.count })
        for (content, id) in tokens { insert(content, id) }
    }

    private mutating func insert(_ content: [UInt8], _ id: Int32) {
        var hash = TokenIndex.emptyHash
        for byte in content { hash = TokenIndex.extend(hash, byte) }
        var slot = TokenIndex.spread(hash) & mask
        while slots[slot] != 0 {
            let entry = Int(slots[slot] & 0xFFFF_FFFF) - 1
            if entries[entry].count == content.count,
                arena[entries[entry].start..<entries[entry].start + content.count]
                    .elementsEqual(content)
            {
                entries[entry].id = id
                return
            }
            slot = (slot + 1) & mask
        }
        entries.append(Entry(start: arena.count, count: content.count, id: id))
        arena.append(contentsOf: content)
        tokenBytesMax = max(tokenBytesMax, content.count)
        slots[slot] = (hash & ~0xFFFF_FFFF) | UInt64(entries.count)
    }

    static let emptyHash: UInt64 = 0xCBF2_9CE4_8422_2325

    @inline(__always)
    static func extend(_ hash: UInt64, _ byte: UInt8) -> UInt64 {
        (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }

    @inline(__always)
    private static func spread(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash ^ (hash >> 29))
    }

    /// The id of the content at `piece`, whose hash is known.
    @inline(__always)
    func id(of text: Span<UInt8>, _ piece: Piece, hash: UInt64) -> Int32? {
        var slot = TokenIndex.spread(hash) & mask
        let slots = slots.span
        while true {
            let found = slots[slot]
            if found == 0 { return nil }
            if found >> 32 == hash >> 32 {
                let entry = entries[Int(found & 0xFFFF_FFFF) - 1]
                if entry.count == piece.count, matches(text, piece, at: entry.start) {
                    return entry.id
                }
            }
            slot = (slot + 1) & mask
        }
    }

    func id(of text: Span<UInt8>, _ piece: Piece) -> Int32? {
        var hash = TokenIndex.emptyHash
        for index in piece.range { hash = TokenIndex.extend(hash, text[index]) }
        return id(of: text, piece, hash: hash)
    }

    @inline(__always)
    private func matches(_ text: Span<UInt8>, _ piece: Piece, at start: Int) -> Bool {
        let arena = arena.span
        for offset in 0..<piece.count where arena[start + offset] != text[piece.start + offset] {
            return false
        }
        return true
    }
}
