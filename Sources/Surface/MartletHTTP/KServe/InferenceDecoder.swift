// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletJSON
internal import MartletServing
internal import MartletTensor
internal import MartletWire
internal import ServiceContextModule

/// Reads an inference request: JSON, then perhaps binary tensors. Binary tensors stay where they
/// lie; JSON numbers are read once, straight into their tensor's memory.
struct InferenceDecoder {
    /// More inputs or outputs than this are refused.
    private static let tensorCountMax = 1_024

    private let body: HTTPBody
    /// Bytes of the JSON part.
    private let jsonByteCount: Int
    private let sharedMemory: SharedMemoryRegistry
    private let model: ModelReference
    private var id = ""
    private var parameters: Parameters = [:]
    private var inputs: [InputDraft] = []
    private var outputs: [RequestedOutput] = []
    private var wishes: [InferenceEncoder.Wish] = []

    /// - Parameter responder: remembers the JSON part, which a client's next request mostly
    /// repeats.
    /// - Throws: `ServingError` or `JSONError` for a request that cannot be right.
    static func decode(
        _ request: HTTPRequest, recalling responder: HTTPResponder, host: any ModelHost
    ) throws -> InferenceBody.Decoded {
        if let form = responder.recollection as? InferenceForm,
            let decoded = form.fill(request.body, context: request.context)
        {
            return decoded
        }
        var form: InferenceForm?
        var decoded = try decode(
            request.body, headerLength: headerLength(request), model: ModelReference(request),
            host: host, context: request.context, form: &form)
        decoded.request.allowsInlineRun = true
        if let form { responder.recollection = form }
        return decoded
    }

    /// - Parameter headerLength: bytes of the JSON part; 0 for a raw binary request, nil when the
    ///   body is JSON all through.
    static func decode(
        _ body: HTTPBody, headerLength: Int?, model: ModelReference, host: any ModelHost,
        context: ServiceContext, form: inout InferenceForm?
    ) throws -> InferenceBody.Decoded {
        if headerLength == 0 {
            return InferenceBody.Decoded(
                request: try RawInference.decode(body, model: model, host: host, context: context),
                encoder: InferenceEncoder(wishes: [], binaryByDefault: true))
        }
        var decoder = InferenceDecoder(
            body: body, jsonByteCount: headerLength ?? body.count,
            sharedMemory: host.sharedMemory, model: model)
        let decoded = try decoder.decode(context)
        if headerLength != nil, decoder.inputs.allSatisfy(\.isBinary) {
            form = InferenceForm(
                decoded, body: body, jsonByteCount: decoder.jsonByteCount,
                inputs: try decoder.inputs.map { try InferenceForm.Input($0) })
        }
        return decoded
    }

    private init(
        body: HTTPBody, jsonByteCount: Int, sharedMemory: SharedMemoryRegistry,
        model: ModelReference
    ) {
        self.body = body
        self.jsonByteCount = jsonByteCount
        self.sharedMemory = sharedMemory
        self.model = model
    }

    /// The JSON part's length, when the head tells it.
    private static func headerLength(_ request: HTTPRequest) throws(ServingError) -> Int? {
        let fields = request.head.fields
        guard let range = fields.range(of: "inference-header-content-length") else { return nil }
        guard let length = fields.decimal(range), length <= request.body.count,
            fields.occurrences(of: "inference-header-content-length") == 1
        else {
            throw ServingError(
                .invalidArgument,
                "Inference-Header-Content-Length '\(fields.string(range))' is no length within "
                    + "the body of \(request.body.count) bytes")
        }
        return length
    }

    private mutating func decode(_ context: ServiceContext) throws -> InferenceBody.Decoded {
        let body = body
        let text = unsafe UnsafeRawBufferPointer(rebasing: body.bytes[..<jsonByteCount])
        var scanner = unsafe JSONScanner(text, limits: JSONLimits(acceptsNonFinite: true))
        try readTop(&scanner)
        try scanner.finish()
        var request = InferenceRequest(
            model: model.name, version: model.version, id: id, inputs: try bind(),
            outputs: outputs, context: context)
        try ProtocolRequest.apply(parameters, to: &request)
        try ProtocolRequest.checkSharedMemory(of: outputs, in: sharedMemory)
        return InferenceBody.Decoded(
            request: request,
            encoder: InferenceEncoder(
                wishes: wishes,
                binaryByDefault: parameters["binary_data_output"] == .bool(true)))
    }

    // MARK: The walk

    private mutating func readTop(_ scanner: inout JSONScanner) throws {
        var hasInputs = false
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            if key == "inputs" {
                hasInputs = true
                inputs.removeAll()
                try scanner.beginArray()
                while try scanner.nextElement() {
                    try InferenceDecoder.checkCount(inputs.count, "inputs")
                    inputs.append(try InputDraft(&scanner))
                }
            } else if key == "outputs" {
                outputs.removeAll()
                wishes.removeAll()
                try scanner.beginArray()
                while try scanner.nextElement() {
                    try InferenceDecoder.checkCount(outputs.count, "outputs")
                    try readOutput(&scanner)
                }
            } else if key == "parameters" {
                parameters = try ParameterDecoder.read(&scanner)
            } else if key == "id" {
                id = try scanner.readString()
            } else {
                try scanner.skipValue()
            }
        }
        guard hasInputs else {
            throw ServingError(
                .invalidArgument, "the request to model '\(model.name)' has no 'inputs'")
        }
    }

    private static func checkCount(_ count: Int, _ what: String) throws(ServingError) {
        guard count < tensorCountMax else {
            throw ServingError(.invalidArgument, "more than \(tensorCountMax) \(what)")
        }
    }

    private mutating func readOutput(_ scanner: inout JSONScanner) throws {
        var name = ""
        var parameters: Parameters = [:]
        var isBinary: Bool?
        try scanner.beginObject()
        while let key = try scanner.nextKey() {
            if key == "name" {
                name = try scanner.readString()
            } else if key == "parameters" {
                isBinary = nil
                parameters = try ParameterDecoder.read(&scanner) { (key, scanner) in
                    guard key == "binary_data", try scanner.peek() == .bool else { return false }
                    isBinary = try scanner.readBool()
                    return true
                }
            } else {
                try scanner.skipValue()
            }
        }
        guard !name.isEmpty else {
            throw ServingError(.invalidArgument, "an output in the request has no 'name'")
        }
        wishes.append(InferenceEncoder.Wish(name: name, isBinary: isBinary))
        outputs.append(try ProtocolRequest.output(name, parameters))
    }

    // MARK: Binding data to inputs

    /// Gives each input its data: from JSON, shared memory, or the next bytes behind the JSON.
    private func bind() throws -> [NamedTensor] {
        var place = jsonByteCount
        var bound: [NamedTensor] = []
        bound.reserveCapacity(inputs.count)
        for input in inputs {
            let tensor: Tensor
            if let range = try ProtocolRequest.sharedMemory(input.parameters, of: input.name) {
                try input.refuseData("its data lies in shared memory")
                tensor = try ProtocolRequest.tensor(
                    input: input.name, elementType: try input.elementType(),
                    shape: try input.checkedShape(), from: range, in: sharedMemory)
            } else if let size = try input.binarySize() {
                try input.refuseData("binary_data_size is given")
                guard size <= body.count - place else {
                    throw ServingError(
                        .invalidArgument,
                        "input '\(input.name)': binary_data_size \(size), but only "
                            + "\(body.count - place) bytes of binary data are left")
                }
                tensor = try InferenceDecoder.view(
                    of: try InferenceForm.Input(input), storage: body.storage,
                    offset: body.offset + place)
                place += size
            } else {
                tensor = try input.jsonTensor()
            }
            bound.append(
                NamedTensor(name: input.name, tensor: tensor, parameters: input.parameters))
        }
        guard place == body.count else {
            throw ServingError(
                .invalidArgument,
                "unexpected additional input data for model '\(model.name)': \(body.count - place) "
                    + "bytes behind the last input")
        }
        return bound
    }

    /// A binary input over the body's memory.
    static func view(
        of input: InferenceForm.Input, storage: TensorStorage, offset: Int
    ) throws -> Tensor {
        let tensor = try ProtocolRequest.tensor(
            input: input.name, elementType: input.elementType, shape: input.shape,
            storage: storage, byteOffset: offset, byteCount: input.byteCount)
        return try aligned(tensor)
    }

    /// The tensor, or a copy of it where its elements are not at multiples of their size.
    static func aligned(_ tensor: Tensor) throws -> Tensor {
        guard let width = tensor.elementType.bitWidth.map({ max(1, $0 / 8) }), width > 1,
            let address = unsafe tensor.bytes.baseAddress,
            Int(bitPattern: address) & (width - 1) != 0
        else { return tensor }
        let copy = TensorStorage(byteCount: tensor.byteCount)
        unsafe copy.mutableBytes.copyMemory(from: tensor.bytes)
        return try Tensor(elementType: tensor.elementType, shape: tensor.shape, storage: copy)
    }
}
