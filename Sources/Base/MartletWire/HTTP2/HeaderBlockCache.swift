// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// The last few header blocks that changed no table: the same bytes mean the same request again, as
/// the calls of one client mostly do.
struct HeaderBlockCache: Sendable {
    private struct Entry: Sendable {
        var block: [UInt8]
        var generation: Int
        var request: HTTP2HeaderRules.Request
    }

    /// How many blocks are kept, and how long they may be.
    static let countMax = 8
    static let blockBytesMax = 256

    private var entries: [Entry] = []
    private var next = 0

    /// The place of the block, when it means what it meant.
    func find(
        _ source: WireBytes, _ range: Range<Int>, generation: Int
    ) -> (place: Int, request: HTTP2HeaderRules.Request)? {
        for place in entries.indices
        where entries[place].generation == generation && source.equals(range, entries[place].block)
        {
            return (place, entries[place].request)
        }
        return nil
    }

    /// Keeps a block in the place of the oldest, which is returned.
    mutating func keep(
        _ block: [UInt8], generation: Int, _ request: HTTP2HeaderRules.Request
    ) -> Int {
        let entry = Entry(block: block, generation: generation, request: request)
        if entries.count < HeaderBlockCache.countMax {
            entries.append(entry)
            return entries.count - 1
        }
        let place = next
        entries[place] = entry
        next = (next + 1) % HeaderBlockCache.countMax
        return place
    }
}
