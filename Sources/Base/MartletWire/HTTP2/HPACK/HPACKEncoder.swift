// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc

/// Writes header blocks (RFC 7541), with a table that the peer mirrors.
package struct HPACKEncoder: Sendable {
    /// How a field may be remembered.
    package enum Indexing: Sendable {
        /// Put into the table, for what recurs.
        case remembered
        case plain
        /// Never to be put into any table on its way: secrets.
        case never
    }

    /// The most that we remember, whatever the peer allows.
    package static let tableBytesMax = 4_096

    private var table = HPACKTable(limit: HPACKEncoder.tableBytesMax)
    private let isHuffmanUsed: Bool
    /// Size changes that the next block must begin with: the smallest since, and the last.
    private var pendingSizes: (least: Int, last: Int)?

    /// What the fields of the last block were coded as, one after the other: the next block's are
    /// mostly the same.
    private var memo: [Memo] = []
    private var memoPlace = 0
    private static let memoMax = 32

    private struct Memo: Sendable {
        /// Name and value.
        var bytes: [UInt8]
        var nameCount: Int
        var index: Int
        /// Of the table that `index` is into; -1: nothing is remembered here.
        var generation: Int
    }

    /// - Parameter isHuffmanUsed: whether strings are coded where that makes them shorter.
    package init(isHuffmanUsed: Bool = false) {
        self.isHuffmanUsed = isHuffmanUsed
    }

    /// Stays the same as long as an encoded block may be sent again. It may not be, either, while
    /// `mustBegin` is true.
    package var generation: Int { table.generation }
    package var mustBegin: Bool { pendingSizes != nil }

    /// Takes the peer's SETTINGS_HEADER_TABLE_SIZE over.
    package mutating func limitTable(_ bytes: Int) {
        let size = min(bytes, HPACKEncoder.tableBytesMax)
        guard size != table.sizeMax else { return }
        table.resize(size)
        pendingSizes = (min(size, pendingSizes?.least ?? size), size)
    }

    /// Starts a block: to be called before its first field.
    package mutating func begin(_ block: inout [UInt8]) {
        memoPlace = 0
        guard let sizes = pendingSizes else { return }
        pendingSizes = nil
        if sizes.least < sizes.last {
            HPACKEncoder.integer(sizes.least, prefixBits: 5, flags: 0x20, to: &block)
        }
        HPACKEncoder.integer(sizes.last, prefixBits: 5, flags: 0x20, to: &block)
    }

    package mutating func append(
        _ name: String, _ value: String, _ indexing: Indexing = .plain, to block: inout [UInt8]
    ) {
        var (name, value) = (name, value)
        name.withUTF8 { name in
            value.withUTF8 { value in
                unsafe append(
                    UnsafeRawBufferPointer(name), UnsafeRawBufferPointer(value), indexing,
                    to: &block)
            }
        }
    }

    /// - Parameter isNew: the name is none that is ever remembered.
    package mutating func append(
        _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ indexing: Indexing,
        isNew: Bool = false, to block: inout [UInt8]
    ) {
        let place = memoPlace
        if indexing == .remembered {
            memoPlace += 1
            if let index = unsafe remembered(place, name, value) {
                return HPACKEncoder.integer(index, prefixBits: 7, flags: 0x80, to: &block)
            }
        }
        let found = unsafe table.find(name, value, isFixedOnly: isNew || indexing == .never)
        if let index = found.field, indexing != .never {
            if indexing == .remembered { unsafe keep(place, name, value, index) }
            return HPACKEncoder.integer(index, prefixBits: 7, flags: 0x80, to: &block)
        }
        let prefixBits = indexing == .remembered ? 6 : 4
        let flags: UInt8 =
            switch indexing {
            case .remembered: 0x40
            case .plain: 0
            case .never: 0x10
            }
        HPACKEncoder.integer(
            found.name ?? found.field ?? 0, prefixBits: prefixBits, flags: flags, to: &block)
        if found.name == nil, found.field == nil { unsafe string(name, to: &block) }
        unsafe string(value, to: &block)
        if indexing == .remembered { table.insert(unsafe HPACKTable.Entry(name, value)) }
    }

    /// The index of a field that stood in the same place of the last block.
    private func remembered(
        _ place: Int, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) -> Int? {
        guard place < memo.count, memo[place].generation == table.generation,
            memo[place].nameCount == name.count,
            memo[place].bytes.count == name.count + value.count
        else { return nil }
        let isSame = unsafe memo[place].bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, let first = name.baseAddress else { return false }
            guard unsafe memcmp(base, first, name.count) == 0 else { return false }
            guard let second = value.baseAddress, value.count > 0 else { return true }
            return unsafe memcmp(base + name.count, second, value.count) == 0
        }
        return isSame ? memo[place].index : nil
    }

    private mutating func keep(
        _ place: Int, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer,
        _ index: Int
    ) {
        guard place < HPACKEncoder.memoMax else { return }
        while memo.count <= place {
            memo.append(Memo(bytes: [], nameCount: 0, index: 0, generation: -1))
        }
        memo[place].bytes.removeAll(keepingCapacity: true)
        unsafe memo[place].bytes.append(contentsOf: name)
        unsafe memo[place].bytes.append(contentsOf: value)
        memo[place].nameCount = name.count
        memo[place].index = index
        memo[place].generation = table.generation
    }

    private func string(_ bytes: UnsafeRawBufferPointer, to block: inout [UInt8]) {
        if isHuffmanUsed {
            let plain = unsafe [UInt8](bytes)
            let count = HuffmanCode.byteCount(plain)
            if count < plain.count {
                HPACKEncoder.integer(count, prefixBits: 7, flags: 0x80, to: &block)
                return HuffmanCode.encode(plain, to: &block)
            }
        }
        HPACKEncoder.integer(bytes.count, prefixBits: 7, flags: 0, to: &block)
        unsafe block.append(contentsOf: bytes)
    }

    private static func integer(
        _ value: Int, prefixBits: Int, flags: UInt8, to block: inout [UInt8]
    ) {
        let mask = (1 << prefixBits) - 1
        guard value >= mask else {
            block.append(flags | UInt8(value))
            return
        }
        block.append(flags | UInt8(mask))
        var rest = value - mask
        while rest >= 0x80 {
            block.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        block.append(UInt8(rest))
    }
}
