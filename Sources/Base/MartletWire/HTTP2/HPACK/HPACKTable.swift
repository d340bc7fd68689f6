// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// HPACK's table of fields (RFC 7541 §2.3): 61 fixed ones, then those that came last, newest first.
struct HPACKTable: Sendable {
    struct Entry: Sendable {
        /// Name and value, one after the other.
        var bytes: [UInt8]
        var nameCount: Int

        /// RFC 7541 §4.1.
        var size: Int { bytes.count + 32 }

        init(_ name: String, _ value: String) {
            bytes = Array(name.utf8) + Array(value.utf8)
            nameCount = name.utf8.count
        }

        init(_ bytes: [UInt8], nameCount: Int) {
            self.bytes = bytes
            self.nameCount = nameCount
        }

        func hasName(_ name: [UInt8]) -> Bool {
            nameCount == name.count && bytes.starts(with: name)
        }
    }

    /// The most bytes that the table may be told to hold.
    let limit: Int
    private(set) var sizeMax: Int
    private(set) var size = 0
    /// Changes whenever an index comes to mean something else.
    private(set) var generation = 0
    private(set) var count = 0
    /// A ring: the newest entry is before `next`.
    private var ring: [Entry?]
    private var next = 0

    init(limit: Int) {
        self.limit = limit
        sizeMax = limit
        ring = [Entry?](repeating: nil, count: limit / 32 + 1)
    }

    /// The entry at an index as the wire has it; nil when there is none.
    subscript(index: Int) -> Entry? {
        if index < 1 { return nil }
        if index <= HPACKTable.fixed.count { return HPACKTable.fixed[index - 1] }
        let age = index - HPACKTable.fixed.count - 1
        guard age < count else { return nil }
        return ring[position(age)]
    }

    private func position(_ age: Int) -> Int {
        let place = next - 1 - age
        return place < 0 ? place + ring.count : place
    }

    mutating func insert(_ entry: Entry) {
        generation += 1
        evict(downTo: sizeMax - entry.size)
        guard entry.size <= sizeMax else { return }
        ring[next] = entry
        next = next + 1 == ring.count ? 0 : next + 1
        count += 1
        size += entry.size
    }

    /// - Precondition: `newMax` is at most `limit`.
    mutating func resize(_ newMax: Int) {
        generation += 1
        sizeMax = newMax
        evict(downTo: newMax)
    }

    private mutating func evict(downTo sizeWanted: Int) {
        while count > 0, size > sizeWanted {
            let oldest = position(count - 1)
            size -= ring[oldest]?.size ?? 0
            ring[oldest] = nil
            count -= 1
        }
    }

    /// The index of the field, or else of one with its name.
    func find(_ name: [UInt8], _ value: [UInt8]) -> (field: Int?, name: Int?) {
        var named: Int?
        for index in 1...HPACKTable.fixed.count + count {
            guard let entry = self[index], entry.hasName(name) else { continue }
            if entry.bytes.dropFirst(name.count).elementsEqual(value) { return (index, named) }
            named = named ?? index
        }
        return (nil, named)
    }

    /// RFC 7541, appendix A.
    static let fixed: [Entry] = [
        (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"),
        (":path", "/index.html"), (":scheme", "http"), (":scheme", "https"), (":status", "200"),
        (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"),
        (":status", "404"), (":status", "500"), ("accept-charset", ""),
        ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""),
        ("accept", ""), ("access-control-allow-origin", ""), ("age", ""), ("allow", ""),
        ("authorization", ""), ("cache-control", ""), ("content-disposition", ""),
        ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
        ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""),
        ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""),
        ("if-match", ""), ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""),
        ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""),
        ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""),
        ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""),
        ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""),
        ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
    ].map { Entry($0.0, $0.1) }
}
