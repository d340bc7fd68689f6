// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletStorage

/// The layout of a stored plan: a header with a table of sections, then the sections.
///
///     0   "MARTPLAN"
///     8   u32 version of this layout
///     12  u32 number of sections
///     16  u64 bytes of the whole file
///     24  u64 checksum of the bytes 0..<24 and of the table
///     32  for each section: u64 offset, u64 bytes, u64 checksum
///
/// Numbers are little-endian, sections begin on pages. Anybody may have written the file: nothing
/// in it is believed before it was checked.
package struct StoredPlanFile {
    package enum Section: Int, CaseIterable {
        /// What the file was made from and for.
        case key
        /// The signature and the graph after all passes.
        case graph
        /// Constants that have a packed form, for plans that want another one: rarely touched.
        case spares
        /// Constants and packed weights that kernels read in place.
        case data
    }

    package static let magic = Array("MARTPLAN".utf8)
    package static let version: UInt32 = 2
    package static let headerByteCount = 32 + Section.allCases.count * 24
    package static let alignment = 4096
    /// Where data of more than this begins, so that it can lie on large pages.
    package static let largeAlignment = 2 << 20

    let file: MappedFile
    private let ranges: [Range<Int>]

    /// Maps a file and checks every byte of it.
    /// - Throws: `StoredPlanError` saying what is wrong; `StorageError` for the file itself.
    init(path: String) throws {
        let file = try MappedFile(path: path, largePages: true)
        self.file = file
        ranges = try StoredPlanFile.check(file.region) { file.advise(.dontNeed, in: $0) }
    }

    func region(_ section: Section) -> ByteRegion {
        let range = ranges[section.rawValue]
        // Checked when the file was opened.
        return file.region.slice(offset: range.lowerBound, count: range.count)
            ?? ByteRegion(copying: [])
    }

    // MARK: Checking

    /// - Parameter letGo: is told of ranges that are not wanted again soon.
    /// - Returns: the sections' ranges.
    static func check(
        _ region: ByteRegion, letGo: @escaping @Sendable (Range<Int>) -> Void
    ) throws(StoredPlanError) -> [Range<Int>] {
        guard region.count >= headerByteCount else {
            throw StoredPlanError("\(region.count) bytes, too few for a header")
        }
        var header = unsafe ByteReader(region.bytes)
        guard let magic = unsafe header.readBytes(8), unsafe magic.elementsEqual(self.magic) else {
            throw StoredPlanError("it is no stored plan")
        }
        guard let version = header.readUInt32(), let count = header.readUInt32(),
            let size = header.readUInt64(), let checksum = header.readUInt64()
        else { throw StoredPlanError("its header is cut short") }
        guard version == self.version else {
            throw StoredPlanError("layout \(version), this is layout \(self.version)")
        }
        guard Int(count) == Section.allCases.count else {
            throw StoredPlanError("\(count) sections, expected \(Section.allCases.count)")
        }
        guard size == UInt64(region.count) else {
            throw StoredPlanError("\(region.count) bytes, its header says \(size)")
        }
        let expected = unsafe headerChecksum(region.bytes)
        guard checksum == expected else {
            throw StoredPlanError("its header is damaged")
        }
        var ranges: [Range<Int>] = []
        for section in Section.allCases {
            guard let offset = header.readSize(limit: region.count),
                let bytes = header.readSize(limit: region.count),
                let expected = header.readUInt64(), offset >= headerByteCount,
                offset % alignment == 0,
                let part = region.slice(offset: offset, count: bytes)
            else { throw StoredPlanError("section \(section) lies outside the file") }
            var release: (@Sendable (Range<Int>) -> Void)?
            if section == .spares {
                release = { read in
                    letGo((offset + read.lowerBound)..<(offset + read.upperBound))
                }
            }
            let found = unsafe Checksum.of(part.bytes, letGo: release)
            guard found == expected else {
                throw StoredPlanError("section \(section) is damaged")
            }
            ranges.append(offset..<offset + bytes)
        }
        return ranges
    }

    private static func headerChecksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        let parts =
            unsafe Array(bytes[0..<24]) + Array(bytes[32..<headerByteCount])
        return unsafe parts.withUnsafeBytes { unsafe Checksum.of($0) }
    }

    // MARK: Writing

    /// The header for sections at these places of a file.
    /// - Parameter letGo: is told of ranges that have been read.
    package static func header(
        _ bytes: UnsafeRawBufferPointer, sections: [Range<Int>],
        letGo: @escaping @Sendable (Range<Int>) -> Void = { _ in }
    ) -> [UInt8] {
        var writer = StoredBytes()
        writer.raw(magic)
        writer.fixed(version)
        writer.fixed(UInt32(sections.count))
        writer.fixed(UInt64(bytes.count))
        writer.fixed(UInt64(0))
        for range in sections {
            writer.fixed(UInt64(range.lowerBound))
            writer.fixed(UInt64(range.count))
            let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[range])
            let start = range.lowerBound
            let release: @Sendable (Range<Int>) -> Void = { read in
                letGo((start + read.lowerBound)..<(start + read.upperBound))
            }
            writer.fixed(unsafe Checksum.of(part, letGo: release))
        }
        let checksum = unsafe writer.bytes.withUnsafeBytes { unsafe headerChecksum($0) }
        unsafe withUnsafeBytes(of: checksum.littleEndian) { checksum in
            for index in 0..<8 { unsafe writer.bytes[24 + index] = checksum[index] }
        }
        return writer.bytes
    }
}

/// Why a stored plan was refused.
package struct StoredPlanError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
