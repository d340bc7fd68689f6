// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletServing
internal import MartletTensor
internal import ServiceContextModule

/// A binary inference request without its tensors: the JSON part as it came and what it means.
///
/// Clients send the same JSON with other tensors, again and again; it is then compared instead of
/// read. A form is good for requests whose heads are the same as its own request's.
final class InferenceForm: Sendable {
    /// An input whose data lies behind the JSON.
    struct Input: Sendable {
        let name: String
        let elementType: ElementType
        let shape: Shape
        let byteCount: Int
        let parameters: Parameters

        init(_ draft: InputDraft) throws(ServingError) {
            name = draft.name
            elementType = try draft.elementType()
            shape = try draft.checkedShape()
            byteCount = try draft.binarySize() ?? 0
            parameters = draft.parameters
        }
    }

    /// Longer JSON is not kept.
    private static let jsonByteCountMax = 4 << 10

    private let json: [UInt8]
    private let inputs: [Input]
    private let inputByteCount: Int
    /// Without inputs.
    private let request: InferenceRequest
    private let encoder: InferenceEncoder

    /// nil for what is not worth keeping or must be looked at each time.
    init?(
        _ decoded: InferenceBody.Decoded, body: HTTPBody, jsonByteCount: Int, inputs: [Input]
    ) {
        guard jsonByteCount <= InferenceForm.jsonByteCountMax,
            !decoded.request.outputs.contains(where: {
                $0.parameters["shared_memory_region"] != nil
            })
        else { return nil }
        json = unsafe Array(body.bytes[..<jsonByteCount])
        self.inputs = inputs
        inputByteCount = inputs.reduce(0) { $0 + $1.byteCount }
        var request = decoded.request
        request.inputs = []
        request.allowsInlineRun = true
        self.request = request
        encoder = decoded.encoder
    }

    /// The request that another body makes; nil when its JSON is not this one or its tensors are no
    /// good, which a reading of it will tell.
    func fill(_ body: HTTPBody, context: ServiceContext) -> InferenceBody.Decoded? {
        let isSame = unsafe json.withUnsafeBytes { json in
            guard body.count == json.count + inputByteCount, let own = json.baseAddress,
                let other = unsafe body.bytes.baseAddress
            else { return false }
            return unsafe memcmp(own, other, json.count) == 0
        }
        guard isSame else { return nil }
        var request = request
        request.context = context
        request.inputs.reserveCapacity(inputs.count)
        var place = body.offset + json.count
        for input in inputs {
            guard
                let tensor = try? InferenceDecoder.view(
                    of: input, storage: body.storage, offset: place)
            else { return nil }
            request.inputs.append(
                NamedTensor(name: input.name, tensor: tensor, parameters: input.parameters))
            place += input.byteCount
        }
        return InferenceBody.Decoded(request: request, encoder: encoder)
    }
}
