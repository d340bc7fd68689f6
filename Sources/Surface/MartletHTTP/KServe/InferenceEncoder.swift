// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import MartletTensor

/// Writes an inference response: JSON, and behind it, for outputs asked for in binary, the
/// tensors' own memory.
struct InferenceEncoder {
    /// Requested outputs by name, as far as they say how they are wanted.
    private let binaryByName: [String: Bool]
    private let binaryByDefault: Bool

    init(_ request: InferenceRequest) {
        binaryByDefault = request.parameters["binary_data_output"] == .bool(true)
        var byName: [String: Bool] = [:]
        for output in request.outputs {
            if case .bool(let flag)? = output.parameters["binary_data"] {
                byName[output.name] = flag
            }
        }
        binaryByName = byName
    }

    func encode(_ response: InferenceResponse) throws(ServingError) -> HTTPResponse {
        var writer = JSONWriter(nonFinite: .literal)
        writer.bytes.reserveCapacity(512)
        var binary: [HTTPResponse.BodyPart] = []
        writer.beginObject()
        if !response.id.isEmpty {
            writer.key("id")
            writer.string(response.id)
        }
        writer.key("model_name")
        writer.string(response.model)
        writer.key("model_version")
        writer.string(response.version)
        if !response.parameters.isEmpty {
            writer.key("parameters")
            writer.beginObject()
            writer.members(response.parameters)
            writer.endObject()
        }
        writer.key("outputs")
        writer.beginArray()
        for output in response.outputs { try write(output, to: &writer, &binary) }
        writer.endArray()
        writer.endObject()
        var answer = HTTPResponse(isCompressible: true)
        if binary.isEmpty {
            answer.contentType = "application/json"
            answer.body = [.bytes(writer.bytes)]
        } else {
            answer.contentType = "application/octet-stream"
            answer.fields = [
                HTTPResponse.Field(
                    "Inference-Header-Content-Length", String(writer.bytes.count))
            ]
            answer.body = [.bytes(writer.bytes)] + binary
        }
        return answer
    }

    private func write(
        _ output: NamedTensor, to writer: inout JSONWriter,
        _ binary: inout [HTTPResponse.BodyPart]
    ) throws(ServingError) {
        let tensor = output.tensor
        let isShared = output.parameters["shared_memory_region"] != nil
        let isBinary = !isShared && (binaryByName[output.name] ?? binaryByDefault)
        writer.beginObject()
        writer.key("name")
        writer.string(output.name)
        writer.key("datatype")
        writer.string(tensor.elementType.protocolName ?? "")
        writer.key("shape")
        writer.integers(tensor.shape)
        if isBinary || !output.parameters.isEmpty {
            writer.key("parameters")
            writer.beginObject()
            writer.members(output.parameters)
            if isBinary {
                writer.key("binary_data_size")
                writer.integer(tensor.byteCount)
            }
            writer.endObject()
        }
        if isBinary {
            binary.append(.tensor(tensor))
        } else if !isShared {
            writer.key("data")
            try InferenceEncoder.writeData(output, to: &writer)
        }
        writer.endObject()
    }

    private static func writeData(
        _ output: NamedTensor, to writer: inout JSONWriter
    ) throws(ServingError) {
        let tensor = output.tensor
        if let kind = tensor.elementType.jsonNumbers {
            unsafe writer.numbers(tensor.bytes, as: kind)
            return
        }
        guard tensor.elementType == .bytes else {
            throw ServingError(
                .invalidArgument,
                "sending \(tensor.elementType.protocolName ?? "such") data via JSON is not "
                    + "supported; ask for binary data for output '\(output.name)'")
        }
        writer.beginArray()
        let bytes = unsafe tensor.bytes
        var place = 0
        while place + 4 <= bytes.count {
            let length = unsafe Int(
                UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self)))
            place += 4
            guard length <= bytes.count - place else {
                throw ServingError(.internal, "output '\(output.name)' has broken strings")
            }
            unsafe writer.string(
                utf8: UnsafeRawBufferPointer(rebasing: bytes[place..<place + length]))
            place += length
        }
        writer.endArray()
    }
}
