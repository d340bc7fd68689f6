// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing
internal import MartletTensor

/// Writes an inference response: JSON, and behind it, for outputs asked for in binary, the
/// tensors' own memory.
struct InferenceEncoder {
    /// How one output is wanted, where the request says so.
    struct Wish: Sendable {
        var name: String
        var isBinary: Bool?
    }

    /// In the order of the request.
    private let wishes: [Wish]
    private let binaryByDefault: Bool

    init(wishes: [Wish], binaryByDefault: Bool) {
        self.wishes = wishes
        self.binaryByDefault = binaryByDefault
    }

    /// - Parameter bytes: empty, perhaps with room.
    func encode(
        _ response: InferenceResponse, into bytes: consuming [UInt8] = []
    ) throws(ServingError) -> HTTPResponse {
        var writer = JSONWriter(appendingTo: consume bytes, nonFinite: .literal)
        writer.bytes.reserveCapacity(256 + 128 * response.outputs.count)
        writer.beginObject()
        if !response.id.isEmpty {
            writer.key(plain: "id")
            writer.string(response.id)
        }
        writer.key(plain: "model_name")
        writer.string(response.model)
        writer.key(plain: "model_version")
        writer.string(response.version)
        if !response.parameters.isEmpty {
            writer.key(plain: "parameters")
            writer.beginObject()
            writer.members(response.parameters)
            writer.endObject()
        }
        writer.key(plain: "outputs")
        writer.beginArray()
        var binaryCount = 0
        for index in response.outputs.indices {
            let isBinary = isBinary(response, index)
            try InferenceEncoder.write(response.outputs[index], isBinary: isBinary, to: &writer)
            if isBinary { binaryCount += 1 }
        }
        writer.endArray()
        writer.endObject()
        guard binaryCount > 0 else {
            return HTTPResponse(
                contentType: "application/json", bytes: writer.bytes, isCompressible: true)
        }
        let jsonByteCount = writer.bytes.count
        // Small tensors are copied behind the JSON, large ones sent from where they lie.
        var parts: [HTTPResponse.BodyPart] = []
        for index in response.outputs.indices where isBinary(response, index) {
            let tensor = response.outputs[index].tensor
            if parts.isEmpty, tensor.byteCount <= Outgoing.joinedBytesMax - writer.bytes.count {
                unsafe writer.bytes.append(contentsOf: tensor.bytes)
            } else {
                parts.append(.tensor(tensor))
            }
        }
        var answer = HTTPResponse(
            contentType: "application/octet-stream", bytes: writer.bytes, parts: parts,
            isCompressible: true)
        answer.jsonByteCount = jsonByteCount
        return answer
    }

    /// About how many bytes of JSON the response becomes.
    func textByteCount(_ response: InferenceResponse) -> Int {
        var count = 0
        for index in response.outputs.indices where !isBinary(response, index) {
            count += response.outputs[index].tensor.byteCount * 2
        }
        return count
    }

    private func isBinary(_ response: InferenceResponse, _ index: Int) -> Bool {
        let isShared = response.outputs[index].parameters["shared_memory_region"] != nil
        if isShared { return false }
        // Answers come in the order in which they were asked for.
        if index < wishes.count, wishes[index].name == response.outputs[index].name {
            return wishes[index].isBinary ?? binaryByDefault
        }
        for wish in wishes where wish.name == response.outputs[index].name {
            return wish.isBinary ?? binaryByDefault
        }
        return binaryByDefault
    }

    private static func write(
        _ output: NamedTensor, isBinary: Bool, to writer: inout JSONWriter
    ) throws(ServingError) {
        let tensor = output.tensor
        let isShared = output.parameters["shared_memory_region"] != nil
        writer.beginObject()
        writer.key(plain: "name")
        writer.string(output.name)
        writer.key(plain: "datatype")
        writer.string(tensor.elementType.protocolName ?? "")
        writer.key(plain: "shape")
        writer.beginArray()
        for axis in 0..<tensor.shape.rank { writer.integer(tensor.shape[axis]) }
        writer.endArray()
        if isBinary || !output.parameters.isEmpty {
            writer.key(plain: "parameters")
            writer.beginObject()
            if !output.parameters.isEmpty { writer.members(output.parameters) }
            if isBinary {
                writer.key(plain: "binary_data_size")
                writer.integer(tensor.byteCount)
            }
            writer.endObject()
        }
        if !isBinary, !isShared {
            writer.key(plain: "data")
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
