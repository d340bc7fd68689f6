// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletServing
internal import MartletTensor
internal import ServiceContextModule

/// The raw binary request (`Inference-Header-Content-Length: 0`): the body is the one input's
/// bytes, batch 1, all outputs binary.
enum RawInference {
    static func decode(
        _ body: HTTPBody, model: ModelReference, host: any ModelHost, context: ServiceContext
    ) throws -> InferenceRequest {
        let metadata = try host.metadata(model: model.name, version: model.version)
        guard metadata.inputs.count == 1, let input = metadata.inputs.first else {
            throw ServingError(
                .invalidArgument,
                "raw input data needs a model with one input; '\(model.name)' has "
                    + "\(metadata.inputs.count)")
        }
        let tensor: Tensor
        if input.elementType == .bytes {
            // One element: the whole body, with its length before it.
            let storage = TensorStorage(byteCount: 4 + body.count)
            unsafe storage.mutableBytes.storeBytes(
                of: UInt32(truncatingIfNeeded: body.count).littleEndian, as: UInt32.self)
            unsafe UnsafeMutableRawBufferPointer(rebasing: storage.mutableBytes[4...])
                .copyMemory(from: body.bytes)
            tensor = try ProtocolRequest.tensor(
                input: input.name, elementType: .bytes, shape: try ones(input.dimensions),
                storage: storage, byteOffset: 0, byteCount: storage.byteCount)
        } else {
            let dimensions = try fill(input.dimensions, input.elementType, body.count, input.name)
            tensor = try InferenceDecoder.aligned(
                try ProtocolRequest.tensor(
                    input: input.name, elementType: input.elementType,
                    shape: try ProtocolRequest.shape(dimensions, of: input.name),
                    storage: body.storage, byteOffset: body.offset, byteCount: body.count))
        }
        return InferenceRequest(
            model: model.name, version: model.version,
            parameters: ["binary_data_output": .bool(true)],
            inputs: [NamedTensor(name: input.name, tensor: tensor)], context: context)
    }

    private static func ones(_ dimensions: [Int]) throws(ServingError) -> Shape {
        try ProtocolRequest.shape(dimensions.map { $0 < 0 ? 1 : Int64($0) }, of: "")
    }

    /// The input's dimensions: the first that varies is 1 when it is the batch, one other may
    /// follow from the number of bytes.
    private static func fill(
        _ dimensions: [Int], _ type: ElementType, _ byteCount: Int, _ name: String
    ) throws(ServingError) -> [Int64] {
        var filled = dimensions.map { Int64($0) }
        let varying = filled.indices.filter { filled[$0] < 0 }
        guard varying.count > 1 || (varying.count == 1 && varying[0] != 0) else {
            if varying.count == 1 { filled[0] = 1 }
            return filled
        }
        let rest = varying[0] == 0 ? Array(varying.dropFirst()) : varying
        guard rest.count == 1 else {
            throw ServingError(
                .invalidArgument,
                "raw input data leaves the shape of input '\(name)' open: \(dimensions)")
        }
        if varying[0] == 0 { filled[0] = 1 }
        var known: Int64 = 1
        for (axis, size) in filled.enumerated() where axis != rest[0] {
            let (product, overflow) = known.multipliedReportingOverflow(by: size)
            guard !overflow else {
                throw ServingError(.invalidArgument, "the shape of input '\(name)' overflows")
            }
            known = product
        }
        let width = Int64((type.bitWidth ?? 8) / 8)
        let row = known.multipliedReportingOverflow(by: max(width, 1)).partialValue
        filled[rest[0]] = row > 0 ? Int64(byteCount) / row : 0
        return filled
    }
}
