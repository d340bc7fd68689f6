// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase

/// Reads a GGUF file's parts front to back; every length is checked before it is used.
@safe struct GGUFParser {
    struct TensorEntry {
        var name: String
        var type: GGUFType
        var dimensions: [Int]
        /// From where the data begins.
        var offset: Int
        var byteCount: Int
    }

    private let region: ByteRegion
    private var reader: ByteReader
    private(set) var version = 0
    private var tensorCount = 0
    private var metadataCount = 0

    /// The region must outlive the parser's use.
    init(_ region: ByteRegion) {
        self.region = region
        reader = unsafe ByteReader(region.bytes)
    }

    mutating func readHeader() throws(FormatError) {
        guard let magic = reader.readUInt32(), let version = reader.readUInt32() else {
            throw failure(.truncated, "the file has \(region.count) bytes, a header takes 24")
        }
        guard magic == 0x4655_4747 else {
            throw failure(.malformed, "the file does not begin with 'GGUF'")
        }
        guard version == 2 || version == 3 else {
            let reversed = version.byteSwapped == 3 || version.byteSwapped == 2
            throw failure(
                .unsupported,
                reversed
                    ? "the file is big-endian; little-endian files are read"
                    : "version \(version); versions 2 and 3 are read")
        }
        self.version = Int(version)
        tensorCount = try readCount("tensors", entrySizeMin: 24)
        metadataCount = try readCount("metadata entries", entrySizeMin: 13)
    }

    /// A count that the rest of the file could hold.
    private mutating func readCount(
        _ what: String, entrySizeMin: Int
    ) throws(FormatError) -> Int {
        guard let announced = reader.readUInt64() else {
            throw failure(.truncated, "the file ends before the number of \(what)")
        }
        guard announced <= UInt64(GGUFFile.entryCountMax) else {
            throw failure(
                .limitExceeded,
                "the file announces \(announced) \(what), at most \(GGUFFile.entryCountMax) are "
                    + "read")
        }
        guard announced <= UInt64(reader.remaining / entrySizeMin) else {
            throw failure(
                .truncated,
                "the file announces \(announced) \(what), \(reader.remaining) bytes are left")
        }
        return Int(announced)
    }

    // MARK: Metadata

    mutating func readMetadata() throws(FormatError) -> [String: GGUFValue] {
        var metadata: [String: GGUFValue] = [:]
        metadata.reserveCapacity(metadataCount)
        for position in 0..<metadataCount {
            let key = try readName("the key of metadata entry \(position)")
            let value = try readValue(key)
            guard metadata.updateValue(value, forKey: key) == nil else {
                throw failure(.malformed, "metadata key '\(key)' appears twice")
            }
        }
        return metadata
    }

    private mutating func readValue(_ key: String) throws(FormatError) -> GGUFValue {
        let type = try readType(key)
        switch type {
        case .string:
            guard let size = reader.readSize(), let text = unsafe reader.readBytes(size) else {
                throw failure(.truncated, "the text of '\(key)' ends outside the file")
            }
            return unsafe .string(String(decoding: text, as: UTF8.self))
        case .array: return .array(try readArray(key))
        default:
            guard let value = type.readScalar(&reader) else {
                throw failure(
                    reader.isAtEnd ? .truncated : .malformed, "'\(key)' has no valid value")
            }
            return value
        }
    }

    private mutating func readType(_ key: String) throws(FormatError) -> GGUFValueType {
        guard let number = reader.readUInt32() else {
            throw failure(.truncated, "the file ends before the type of '\(key)'")
        }
        guard let type = GGUFValueType(rawValue: number) else {
            throw failure(.malformed, "'\(key)' has the unknown value type \(number)")
        }
        return type
    }

    private mutating func readArray(_ key: String) throws(FormatError) -> GGUFArray {
        let type = try readType(key)
        guard type != .array else {
            throw failure(.unsupported, "'\(key)' is an array of arrays")
        }
        guard let announced = reader.readUInt64() else {
            throw failure(.truncated, "the file ends before the length of '\(key)'")
        }
        let sizeMin = type.fixedByteCount ?? 8
        guard announced <= UInt64(reader.remaining / sizeMin) else {
            throw failure(
                .truncated,
                "'\(key)' announces \(announced) elements, \(reader.remaining) bytes are left")
        }
        let count = Int(announced)
        let start = reader.offset
        if let size = type.fixedByteCount {
            _ = reader.skip(count * size)
        } else {
            for position in 0..<count {
                guard let size = reader.readSize(), reader.skip(size) else {
                    throw failure(
                        .truncated, "text \(position) of '\(key)' ends outside the file")
                }
            }
        }
        guard let slice = region.slice(offset: start, count: reader.offset - start) else {
            throw failure(.truncated, "'\(key)' ends outside the file")
        }
        return GGUFArray(elementType: type, count: count, region: slice)
    }

    // MARK: Tensors

    mutating func readTensorEntries() throws(FormatError) -> [TensorEntry] {
        var entries: [TensorEntry] = []
        entries.reserveCapacity(tensorCount)
        for position in 0..<tensorCount { entries.append(try readTensorEntry(position)) }
        return entries
    }

    private mutating func readTensorEntry(_ position: Int) throws(FormatError) -> TensorEntry {
        let name = try readName("the name of tensor \(position)")
        let dimensions = try readDimensions(name)
        guard let typeNumber = reader.readUInt32(), let offset = reader.readUInt64() else {
            throw failure(.truncated, "the file ends inside the entry of tensor '\(name)'")
        }
        guard let type = GGUFType(rawValue: typeNumber) else {
            throw failure(
                .unsupported, "tensor '\(name)' has the type \(typeNumber), which is not read")
        }
        var count = 1
        for dimension in dimensions {
            let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
            guard !overflow else {
                throw failure(.malformed, "tensor '\(name)' has the shape \(dimensions)")
            }
            count = product
        }
        guard
            let byteCount = type.byteCount(elements: count, rowElements: dimensions.last ?? 1)
        else {
            throw failure(
                .malformed,
                "tensor '\(name)': rows of \(dimensions.last ?? 1) elements are not whole blocks "
                    + "of \(type.name) (\(type.blockElementCount))")
        }
        guard let offset = Int(exactly: offset) else {
            throw failure(.outOfBounds, "tensor '\(name)' begins at \(offset)")
        }
        return TensorEntry(
            name: name, type: type, dimensions: dimensions, offset: offset, byteCount: byteCount)
    }

    /// The shape, slowest dimension first.
    private mutating func readDimensions(_ name: String) throws(FormatError) -> [Int] {
        guard let rank = reader.readUInt32() else {
            throw failure(.truncated, "the file ends before the rank of tensor '\(name)'")
        }
        guard rank <= 4 else {
            throw failure(.malformed, "tensor '\(name)' has \(rank) dimensions, at most 4 are read")
        }
        var dimensions: [Int] = []
        for _ in 0..<rank {
            guard let value = reader.readUInt64() else {
                throw failure(.truncated, "the file ends inside the shape of tensor '\(name)'")
            }
            guard let dimension = Int(exactly: value) else {
                throw failure(.malformed, "tensor '\(name)' has the dimension \(value)")
            }
            dimensions.append(dimension)
        }
        return dimensions.reversed()
    }

    /// Where the tensors' bytes begin: after the entries, aligned.
    func dataOffset(alignment: Int) throws(FormatError) -> Int {
        let offset = (reader.offset + alignment - 1) / alignment * alignment
        guard offset <= region.count || tensorCount == 0 else {
            throw failure(
                .truncated, "the data would begin at \(offset), the file has \(region.count) bytes")
        }
        return min(offset, region.count)
    }

    private mutating func readName(_ what: String) throws(FormatError) -> String {
        guard let announced = reader.readUInt64() else {
            throw failure(.truncated, "the file ends before \(what)")
        }
        guard announced <= UInt64(GGUFFile.nameSizeMax) else {
            throw failure(
                .limitExceeded,
                "\(what) announces \(announced) bytes, at most \(GGUFFile.nameSizeMax) are read")
        }
        guard let bytes = unsafe reader.readBytes(Int(announced)) else {
            throw failure(
                .truncated,
                "\(what) announces \(announced) bytes, \(reader.remaining) are left")
        }
        guard let name = unsafe String(validating: bytes, as: UTF8.self) else {
            throw failure(.malformed, "\(what) is not UTF-8")
        }
        return name
    }

    private func failure(_ code: FormatError.Code, _ message: String) -> FormatError {
        FormatError(format: .gguf, code: code, message: message, offset: reader.offset)
    }

    static func failure(_ code: FormatError.Code, _ message: String) -> FormatError {
        FormatError(format: .gguf, code: code, message: message)
    }
}
