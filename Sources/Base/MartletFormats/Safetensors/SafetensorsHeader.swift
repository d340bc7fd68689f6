// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletJSON

/// The header of a safetensors file, each entry checked by itself.
struct SafetensorsHeader {
    struct Entry {
        var name: String
        var dataType: ONNXDataType = .undefined
        var dimensions: [Int] = []
        var begin = 0
        var end = 0
    }

    private(set) var entries: [Entry] = []
    private(set) var metadata: [String: String] = [:]
    /// Where the tensors' bytes begin in the file.
    private(set) var dataOffset = 0

    init(_ region: ByteRegion) throws(FormatError) {
        var reader = unsafe ByteReader(region.bytes)
        guard let size = reader.readUInt64() else {
            throw Self.failure(.truncated, "the file has \(region.count) bytes, a header takes 8")
        }
        guard size <= UInt64(SafetensorsFile.headerSizeMax) else {
            throw Self.failure(
                .limitExceeded,
                "the header announces \(size) bytes, at most \(SafetensorsFile.headerSizeMax) "
                    + "are read")
        }
        guard let text = unsafe reader.readBytes(Int(size)) else {
            throw Self.failure(
                .truncated, "the header announces \(size) bytes, \(reader.remaining) are left")
        }
        guard unsafe text.first == UInt8(ascii: "{") else {
            throw Self.failure(.malformed, "the header is not a JSON object")
        }
        dataOffset = reader.offset
        do throws(JSONError) {
            try unsafe readHeader(text)
        } catch {
            throw unsafe Self.failure(.malformed, "header: \(error.located(in: text).message)")
        }
        withExtendedLifetime(region) {}
        for entry in entries { try Self.check(entry) }
        try checkNames()
    }

    private mutating func readHeader(_ text: UnsafeRawBufferPointer) throws(JSONError) {
        var scanner = unsafe JSONScanner(text, limits: JSONLimits(depthMax: 4))
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            let name = key.string
            if name == "__metadata__" {
                try readMetadata(&scanner)
            } else {
                entries.append(try Self.readEntry(name, &scanner))
            }
        }
        try scanner.finish()
    }

    private mutating func readMetadata(_ scanner: inout JSONScanner) throws(JSONError) {
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            let name = key.string
            metadata[name] = try scanner.readString()
        }
    }

    private static func readEntry(
        _ name: String, _ scanner: inout JSONScanner
    ) throws(JSONError) -> Entry {
        var entry = Entry(name: name)
        // Absent offsets stay invalid, so that `check` names them.
        entry.begin = -1
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            switch key.string {
            case "dtype": entry.dataType = types[try scanner.readString()] ?? .undefined
            case "shape":
                try scanner.beginArray()
                while try scanner.nextElement() { entry.dimensions.append(try scanner.readInt()) }
            case "data_offsets":
                var offsets: [Int] = []
                try scanner.beginArray()
                while try scanner.nextElement() { offsets.append(try scanner.readInt()) }
                if offsets.count == 2 { (entry.begin, entry.end) = (offsets[0], offsets[1]) }
            default: try scanner.skipValue()
            }
        }
        return entry
    }

    private static func check(_ entry: Entry) throws(FormatError) {
        guard entry.dataType != .undefined else {
            throw failure(.unsupported, "tensor '\(entry.name)' has no element type known here")
        }
        guard entry.begin >= 0, entry.end >= entry.begin else {
            throw failure(.malformed, "tensor '\(entry.name)' has no valid data_offsets")
        }
        var count = 1
        for dimension in entry.dimensions {
            let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
            guard dimension >= 0, !overflow else {
                throw failure(
                    .malformed, "tensor '\(entry.name)' has the shape \(entry.dimensions)")
            }
            count = product
        }
        guard let size = entry.dataType.byteCount(elements: count),
            size == entry.end - entry.begin
        else {
            throw failure(
                .malformed,
                "tensor '\(entry.name)': \(entry.dataType) \(entry.dimensions) does not take "
                    + "\(entry.end - entry.begin) bytes")
        }
    }

    private func checkNames() throws(FormatError) {
        var names: Set<String> = []
        for entry in entries where !names.insert(entry.name).inserted {
            throw Self.failure(.malformed, "tensor '\(entry.name)' appears twice")
        }
    }

    private static let types: [String: ONNXDataType] = [
        "BOOL": .bool, "U8": .uint8, "I8": .int8, "U16": .uint16, "I16": .int16, "U32": .uint32,
        "I32": .int32, "U64": .uint64, "I64": .int64, "F16": .float16, "BF16": .bfloat16,
        "F32": .float32, "F64": .float64, "C64": .complex64, "F8_E4M3": .float8E4M3FN,
        "F8_E5M2": .float8E5M2, "F8_E8M0": .float8E8M0, "F8_E4M3FNUZ": .float8E4M3FNUZ,
        "F8_E5M2FNUZ": .float8E5M2FNUZ, "F4": .float4E2M1, "F6_E2M3": .float6E2M3,
        "F6_E3M2": .float6E3M2,
    ]

    static func failure(_ code: FormatError.Code, _ message: String) -> FormatError {
        FormatError(format: .safetensors, code: code, message: message)
    }
}
