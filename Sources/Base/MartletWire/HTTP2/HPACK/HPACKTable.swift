// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

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

        init(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
            bytes = []
            bytes.reserveCapacity(name.count + value.count)
            unsafe bytes.append(contentsOf: name)
            unsafe bytes.append(contentsOf: value)
            nameCount = name.count
        }

        func hasName(_ name: UnsafeRawBufferPointer) -> Bool {
            unsafe nameCount == name.count && HPACKTable.equal(bytes, 0, name)
        }

        func hasValue(_ value: UnsafeRawBufferPointer) -> Bool {
            unsafe bytes.count - nameCount == value.count
                && HPACKTable.equal(bytes, nameCount, value)
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
    /// The names' hashes, as in the ring: what a search looks at first. Empty where nobody
    /// searches.
    private var marks: [UInt32]
    private var next = 0

    /// - Parameter isSearched: `find` is used, not only indices.
    init(limit: Int, isSearched: Bool = true) {
        self.limit = limit
        sizeMax = limit
        marks = isSearched ? [UInt32](repeating: 0, count: limit / 32 + 1) : []
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
        if !marks.isEmpty {
            marks[next] = unsafe entry.bytes.withUnsafeBytes {
                unsafe HPACKTable.mark(
                    UnsafeRawBufferPointer(rebasing: $0[..<entry.nameCount]))
            }
        }
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
    /// - Precondition: the table was made to be searched.
    func find(
        _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, isFixedOnly: Bool = false
    ) -> (field: Int?, name: Int?) {
        let mark = unsafe HPACKTable.mark(name)
        var named: Int?
        if let first = unsafe HPACKTable.fixedPlace(name, mark) {
            named = first + 1
            var place = first
            while place < HPACKTable.fixed.count, unsafe HPACKTable.fixed[place].hasName(name) {
                if unsafe HPACKTable.fixed[place].hasValue(value) { return (place + 1, named) }
                place += 1
            }
        }
        if isFixedOnly { return (nil, named) }
        for age in 0..<count {
            let place = position(age)
            guard marks[place] == mark, let entry = ring[place], unsafe entry.hasName(name) else {
                continue
            }
            let index = HPACKTable.fixed.count + 1 + age
            if unsafe entry.hasValue(value) { return (index, named) }
            named = named ?? index
        }
        return (nil, named)
    }

    private static func equal(
        _ bytes: [UInt8], _ start: Int, _ other: UnsafeRawBufferPointer
    ) -> Bool {
        guard let against = other.baseAddress else { return other.count == 0 }
        return unsafe bytes.withUnsafeBytes { mine in
            guard mine.count - start >= other.count, let base = mine.baseAddress else {
                return other.count == 0
            }
            return unsafe memcmp(base + start, against, other.count) == 0
        }
    }

    /// A few bits of a name: its length and five of its bytes.
    private static func mark(_ name: UnsafeRawBufferPointer) -> UInt32 {
        let count = name.count
        guard count > 0 else { return 0 }
        var state = UInt32(truncatingIfNeeded: count) &* 0x9E37_79B1
        for place in [0, count / 4, count / 2, count * 3 / 4, count - 1] {
            state = unsafe (state ^ UInt32(name[place])) &* 0x0100_0193
        }
        return state ^ state >> 15
    }

    /// Where the fixed fields of that name begin.
    private static func fixedPlace(_ name: UnsafeRawBufferPointer, _ mark: UInt32) -> Int? {
        var place = Int(mark & 255)
        while fixedIndex[place] != 0 {
            let index = Int(fixedIndex[place]) - 1
            if unsafe fixed[index].hasName(name) { return index }
            place = (place + 1) & 255
        }
        return nil
    }

    /// By the names' hashes (linear probing): the place of the first field of a name, plus one.
    private static let fixedIndex: [UInt8] = {
        var index = [UInt8](repeating: 0, count: 256)
        for (number, entry) in fixed.enumerated() {
            let name = Array(entry.bytes[..<entry.nameCount])
            let isFirst =
                number == 0
                || fixed[number - 1].bytes[..<fixed[number - 1].nameCount] != name[...]
            guard isFirst else { continue }
            var place = Int(unsafe name.withUnsafeBytes { unsafe mark($0) } & 255)
            while index[place] != 0 { place = (place + 1) & 255 }
            index[place] = UInt8(number + 1)
        }
        return index
    }()

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
