// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase

/// One tensor of a safetensors file: its elements lie in the mapped file, at any alignment.
public struct SafetensorsTensor: Sendable {
    public let name: String
    /// The element type, by ONNX's numbering (F8_E4M3 is `float8E4M3FN`).
    public let dataType: ONNXDataType
    public let dimensions: [Int]
    public let bytes: ByteRegion

    public var elementCount: Int { dimensions.reduce(1, *) }
}

/// A safetensors file: a JSON header that names tensors, and their bytes.
///
/// Checked when opened: the header's length, its JSON, every type, shape and offset; the tensors
/// cover the data exactly, in order, with neither holes nor overlaps, as the format requires.
/// Source: https://huggingface.co/docs/safetensors (format section).
public struct SafetensorsFile: Sendable {
    /// The tensors in the order of their bytes.
    public let tensors: [SafetensorsTensor]
    /// The texts under `__metadata__`.
    public let metadata: [String: String]
    private let places: [String: Int]

    /// The longest header that is read, in bytes: the reference implementation's limit.
    public static let headerSizeMax = 100_000_000

    /// Reads a file's header. Cost: proportional to the header; the data is not touched.
    public init(_ region: ByteRegion) throws(FormatError) {
        let header = try SafetensorsHeader(region)
        var tensors: [SafetensorsTensor] = []
        var places: [String: Int] = [:]
        var end = 0
        for entry in header.entries.sorted(by: { ($0.begin, $0.end) < ($1.begin, $1.end) }) {
            guard entry.begin == end else {
                let relation = entry.begin < end ? "overlaps the tensor before" : "leaves a hole"
                throw SafetensorsHeader.failure(
                    .malformed,
                    "tensor '\(entry.name)' begins at \(entry.begin), which \(relation) (\(end))")
            }
            guard
                let bytes = region.slice(
                    offset: header.dataOffset + entry.begin, count: entry.end - entry.begin)
            else {
                throw SafetensorsHeader.failure(
                    .outOfBounds,
                    "tensor '\(entry.name)' ends at \(entry.end), the data has "
                        + "\(region.count - header.dataOffset) bytes")
            }
            end = entry.end
            places[entry.name] = tensors.count
            tensors.append(
                SafetensorsTensor(
                    name: entry.name, dataType: entry.dataType, dimensions: entry.dimensions,
                    bytes: bytes))
        }
        guard end == region.count - header.dataOffset else {
            throw SafetensorsHeader.failure(
                .malformed,
                "the tensors take \(end) bytes, the data has \(region.count - header.dataOffset)")
        }
        self.tensors = tensors
        self.places = places
        metadata = header.metadata
    }

    public subscript(name: String) -> SafetensorsTensor? {
        places[name].map { tensors[$0] }
    }
}
