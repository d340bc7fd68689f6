// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Takes header blocks apart (RFC 7541). An error is the connection's: its table is lost.
package struct HPACKDecoder: Sendable {
    private var table: HPACKTable

    /// - Parameter tableBytesMax: what our SETTINGS_HEADER_TABLE_SIZE says.
    package init(tableBytesMax: Int = 4_096) {
        table = HPACKTable(limit: tableBytesMax, isSearched: false)
    }

    /// Stays the same as long as equal blocks mean equal fields.
    package var generation: Int { table.generation }

    /// Bytes of the dynamic table, for tests.
    package var tableBytes: Int { table.size }

    /// Decodes a whole block into `fields`. Fields beyond `listBytesMax` (RFC 9113 §6.5.2) are
    /// read, for the table's sake, but not kept.
    /// - Returns: whether all were kept.
    package mutating func decode(
        _ block: UnsafeRawBufferPointer, into fields: inout HTTP2Fields, listBytesMax: Int
    ) throws(HTTP2Error) -> Bool {
        try decode(unsafe WireBytes(block), 0..<block.count, into: &fields, listBytesMax)
    }

    mutating func decode(
        _ source: WireBytes, _ range: Range<Int>, into fields: inout HTTP2Fields,
        _ listBytesMax: Int
    ) throws(HTTP2Error) -> Bool {
        fields.removeAll()
        var reader = Reader(source: source, position: range.lowerBound, end: range.upperBound)
        var listBytes = 0
        var isFirst = true
        while reader.position < reader.end {
            let first = source[reader.position]
            let start = fields.bytes.count
            if first & 0xE0 == 0x20 {
                guard isFirst else {
                    throw HTTP2Error(.compressionError, "a table size update amid fields")
                }
                let size = try reader.integer(prefixBits: 5)
                guard size <= table.limit else {
                    throw HTTP2Error(.compressionError, "table size \(size) exceeds the limit")
                }
                table.resize(size)
                continue
            }
            isFirst = false
            let valueStart = try field(first, &reader, &fields.bytes)
            listBytes += fields.bytes.count - start + 32
            if listBytes <= listBytesMax {
                fields.add(start: start, valueStart: valueStart)
            } else {
                fields.bytes.removeSubrange(start...)
            }
        }
        return listBytes <= listBytesMax
    }

    /// Appends one field's name and value; answers where the value begins.
    private mutating func field(
        _ first: UInt8, _ reader: inout Reader, _ bytes: inout [UInt8]
    ) throws(HTTP2Error) -> Int {
        let start = bytes.count
        if first & 0x80 != 0 {
            let entry = try entry(at: try reader.integer(prefixBits: 7))
            bytes.append(contentsOf: entry.bytes)
            return start + entry.nameCount
        }
        let isInserted = first & 0x40 != 0
        let index = try reader.integer(prefixBits: isInserted ? 6 : 4)
        if index == 0 {
            try reader.string(appendingTo: &bytes)
        } else {
            let entry = try entry(at: index)
            bytes.append(contentsOf: entry.bytes[..<entry.nameCount])
        }
        let valueStart = bytes.count
        try reader.string(appendingTo: &bytes)
        if isInserted {
            table.insert(
                HPACKTable.Entry(Array(bytes[start...]), nameCount: valueStart - start))
        }
        return valueStart
    }

    private func entry(at index: Int) throws(HTTP2Error) -> HPACKTable.Entry {
        guard let entry = table[index] else {
            throw HTTP2Error(.compressionError, "no field has index \(index)")
        }
        return entry
    }

    /// A place in a block.
    private struct Reader {
        let source: WireBytes
        var position: Int
        let end: Int

        /// RFC 7541 §5.1; numbers of more than 28 bits beyond the prefix are refused.
        mutating func integer(prefixBits: Int) throws(HTTP2Error) -> Int {
            guard position < end else { throw truncated }
            let mask = (1 << prefixBits) - 1
            var value = Int(source[position]) & mask
            position += 1
            guard value == mask else { return value }
            var shift = 0
            while true {
                guard position < end else { throw truncated }
                let byte = Int(source[position])
                position += 1
                guard shift < 28 else {
                    throw HTTP2Error(.compressionError, "a number is too large")
                }
                value += (byte & 0x7F) << shift
                if byte & 0x80 == 0 { return value }
                shift += 7
            }
        }

        mutating func string(appendingTo bytes: inout [UInt8]) throws(HTTP2Error) {
            guard position < end else { throw truncated }
            let isCoded = source[position] & 0x80 != 0
            let count = try integer(prefixBits: 7)
            guard count <= end - position else { throw truncated }
            let range = position..<position + count
            position = range.upperBound
            if isCoded {
                try HuffmanCode.decode(source, range, appendingTo: &bytes)
            } else {
                source.append(range, to: &bytes)
            }
        }

        private var truncated: HTTP2Error {
            HTTP2Error(.compressionError, "a header block ends inside a field")
        }
    }
}
