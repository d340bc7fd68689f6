// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase

/// One tensor of a GGUF file: its blocks lie in the mapped file.
public struct GGUFTensor: Sendable {
    public let name: String
    public let type: GGUFType
    /// Row-major, slowest first: the reverse of the file's own order, so that a weight is
    /// [outputs, inputs] as in safetensors.
    public let dimensions: [Int]
    public let bytes: ByteRegion

    public var elementCount: Int { dimensions.reduce(1, *) }
}

/// A GGUF file, version 2 or 3: typed metadata, then tensors in blocks.
///
/// Checked when opened: every length, type, count and shape, every tensor's place in the data, and
/// that names are unique. Source: the GGUF specification (ggml, docs/gguf.md).
public struct GGUFFile: Sendable {
    /// The tensors in the order in which the file names them.
    public let tensors: [GGUFTensor]
    public let metadata: [String: GGUFValue]
    public let version: Int
    private let places: [String: Int]

    /// The most metadata entries and tensors that are read.
    public static let entryCountMax = 1 << 20
    /// The longest name or key, in bytes.
    public static let nameSizeMax = 1 << 16
    /// What data is aligned to when `general.alignment` does not say.
    public static let defaultAlignment = 32

    /// Reads a file's header. Cost: proportional to the metadata; the tensors are not touched.
    public init(_ region: ByteRegion) throws(FormatError) {
        defer { withExtendedLifetime(region) {} }
        var parser = GGUFParser(region)
        try parser.readHeader()
        version = parser.version
        metadata = try parser.readMetadata()
        let alignment = try Self.alignment(metadata["general.alignment"])
        let entries = try parser.readTensorEntries()
        let dataOffset = try parser.dataOffset(alignment: alignment)
        var tensors: [GGUFTensor] = []
        var places: [String: Int] = [:]
        tensors.reserveCapacity(entries.count)
        for entry in entries {
            guard places.updateValue(tensors.count, forKey: entry.name) == nil else {
                throw GGUFParser.failure(.malformed, "tensor '\(entry.name)' appears twice")
            }
            guard entry.offset % alignment == 0 else {
                throw GGUFParser.failure(
                    .malformed,
                    "tensor '\(entry.name)' begins at \(entry.offset), not at a multiple of "
                        + "\(alignment)")
            }
            let (start, overflow) = dataOffset.addingReportingOverflow(entry.offset)
            guard !overflow, let bytes = region.slice(offset: start, count: entry.byteCount) else {
                throw GGUFParser.failure(
                    .outOfBounds,
                    "tensor '\(entry.name)' takes \(entry.byteCount) bytes from \(entry.offset), "
                        + "the data has \(region.count - dataOffset) bytes")
            }
            tensors.append(
                GGUFTensor(
                    name: entry.name, type: entry.type, dimensions: entry.dimensions,
                    bytes: bytes))
        }
        self.tensors = tensors
        self.places = places
    }

    public subscript(name: String) -> GGUFTensor? {
        places[name].map { tensors[$0] }
    }

    private static func alignment(_ value: GGUFValue?) throws(FormatError) -> Int {
        guard let value else { return defaultAlignment }
        guard let alignment = value.int, alignment > 0, alignment <= 1 << 20,
            alignment & (alignment - 1) == 0
        else {
            throw GGUFParser.failure(
                .malformed, "general.alignment is not a power of two up to 1048576")
        }
        return alignment
    }
}
