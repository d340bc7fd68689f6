// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletBase

/// What a model may hold at most.
public struct ONNXLimits: Sendable {
    /// Nested protobuf messages; a subgraph takes three levels.
    public var depthMax = 64
    /// Nodes, attributes, tensors, names and declarations together.
    public var itemsMax = 8_000_000

    public init() {}
}

extension ONNXModel {
    /// Reads a model from its bytes, which the tensors then refer to.
    ///
    /// Throws `FormatError` for anything that is not a well-formed model: broken protobuf, missing
    /// fields, negative or overflowing shapes, data that does not fit its shape, external paths
    /// that leave the folder. Whether the graph makes sense is for the importer to say.
    /// Cost: one pass over the structure; tensor contents are not touched.
    public init(_ region: ByteRegion, limits: ONNXLimits = ONNXLimits()) throws(FormatError) {
        var parser = ONNXParser(region: region, itemsLeft: limits.itemsMax)
        let reader = unsafe ProtobufReader(region.bytes, depthLimit: limits.depthMax)
        self = try parser.model(reader)
        withExtendedLifetime(region) {}
    }
}

/// Builds the model's values from its messages. Offsets are those of `region`.
struct ONNXParser {
    let region: ByteRegion
    var itemsLeft: Int

    /// Counts one more item of the model against the limit.
    mutating func count(_ reader: ProtobufReader) throws(FormatError) {
        itemsLeft -= 1
        guard itemsLeft >= 0 else {
            throw FormatError(
                format: .onnx, code: .limitExceeded, message: "the model has too many parts",
                offset: reader.offset)
        }
    }

    func failure(
        _ code: FormatError.Code, _ message: String, at reader: ProtobufReader
    ) -> FormatError {
        FormatError(format: .onnx, code: code, message: message, offset: reader.offset)
    }

    /// The bytes at these offsets, sharing the region's owner.
    func slice(_ range: Range<Int>, _ reader: ProtobufReader) throws(FormatError) -> ByteRegion {
        guard let part = region.slice(offset: range.lowerBound, count: range.count) else {
            throw failure(.truncated, "bytes lie outside the file", at: reader)
        }
        return part
    }

    mutating func appendString(
        to names: inout [String], _ reader: inout ProtobufReader
    ) throws(FormatError) {
        try count(reader)
        names.append(try reader.string())
    }

    /// ONNX's own domain has two spellings; "" is the one kept.
    static func canonical(domain: String) -> String {
        domain == "ai.onnx" ? "" : domain
    }
}
