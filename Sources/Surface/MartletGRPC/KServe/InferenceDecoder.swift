// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
internal import MartletFormats
package import MartletServing
package import MartletTensor
package import NIOCore
package import ServiceContextModule

/// Reads a `ModelInferRequest` in one walk over its bytes. Tensors of raw contents are views of
/// the message, at whatever offset it has them; typed contents are written out anew.
package struct InferenceDecoder {
    /// More inputs, outputs or raw contents than this are refused.
    private static let tensorCountMax = 1_024

    private let message: ByteBuffer
    private let sharedMemory: SharedMemoryRegistry
    private var model = ""
    private var version = ""
    private var id = ""
    private var parameters: Parameters = [:]
    private var inputs: [InputDraft] = []
    private var outputs: [RequestedOutput] = []
    private var rawContents: [Range<Int>] = []

    /// The request in `message`.
    /// - Throws: `FormatError` for a message that is none, `ServingError` for a request that
    ///   cannot be right.
    package static func decode(
        _ message: ByteBuffer, sharedMemory: SharedMemoryRegistry, deadline: MonotonicInstant?,
        context: ServiceContext
    ) throws -> InferenceRequest {
        var decoder = InferenceDecoder(message, sharedMemory)
        try decoder.walk()
        var request = InferenceRequest(
            model: decoder.model, version: try ProtocolRequest.version(decoder.version),
            id: decoder.id, inputs: try decoder.bind(), outputs: decoder.outputs,
            deadline: deadline, context: context)
        try ProtocolRequest.apply(decoder.parameters, to: &request)
        try ProtocolRequest.checkSharedMemory(of: request.outputs, in: sharedMemory)
        return request
    }

    /// The `id` of a request that cannot be read otherwise, for the error that answers it.
    package static func id(of message: ByteBuffer) -> String {
        unsafe message.withUnsafeReadableBytes { bytes in
            var reader = unsafe ProtobufReader(bytes)
            while let field = try? reader.next() {
                if field == 3 { return (try? reader.string()) ?? "" }
            }
            return ""
        }
    }

    private init(_ message: ByteBuffer, _ sharedMemory: SharedMemoryRegistry) {
        self.message = message
        self.sharedMemory = sharedMemory
    }

    // MARK: The walk

    private mutating func walk() throws {
        try unsafe message.withUnsafeReadableBytes { bytes in
            var reader = unsafe ProtobufReader(bytes)
            while let field = try reader.next() {
                switch field {
                case 1: model = try reader.string()
                case 2: version = try reader.string()
                case 3: id = try reader.string()
                case 4: try ParameterReader.entry(&reader, into: &parameters)
                case 5:
                    try InferenceDecoder.checkCount(inputs.count, "inputs")
                    var input = try reader.message()
                    inputs.append(try InputDraft(&input))
                case 6:
                    try InferenceDecoder.checkCount(outputs.count, "outputs")
                    var output = try reader.message()
                    outputs.append(try InferenceDecoder.output(&output))
                case 7:
                    try InferenceDecoder.checkCount(rawContents.count, "raw_input_contents")
                    rawContents.append(try reader.range())
                default: break
                }
            }
        }
    }

    private static func checkCount(_ count: Int, _ what: String) throws(ServingError) {
        guard count < tensorCountMax else {
            throw ServingError(.invalidArgument, "more than \(tensorCountMax) \(what)")
        }
    }

    private static func output(_ reader: inout ProtobufReader) throws -> RequestedOutput {
        var name = ""
        var parameters: Parameters = [:]
        while let field = try reader.next() {
            switch field {
            case 1: name = try reader.string()
            case 2: try ParameterReader.entry(&reader, into: &parameters)
            default: break
            }
        }
        return try ProtocolRequest.output(name, parameters)
    }

    // MARK: Binding data to inputs

    /// Gives each input its data: from shared memory, the next raw content, or its typed contents.
    private func bind() throws -> [NamedTensor] {
        let storage = messageStorage()
        var bound: [NamedTensor] = []
        bound.reserveCapacity(inputs.count)
        var rawIndex = 0
        for input in inputs {
            let type = try ProtocolRequest.elementType(input.datatype, of: input.name)
            let shape = try ProtocolRequest.shape(input.shape, of: input.name)
            let tensor: Tensor
            if let range = try ProtocolRequest.sharedMemory(input.parameters, of: input.name) {
                try refuseContents(of: input, "its data lies in shared memory")
                tensor = try ProtocolRequest.tensor(
                    input: input.name, elementType: type, shape: shape, from: range,
                    in: sharedMemory)
            } else if !rawContents.isEmpty {
                try refuseContents(of: input, "raw_input_contents are given")
                guard rawIndex < rawContents.count else { throw rawCountMismatch() }
                tensor = try ProtocolRequest.tensor(
                    input: input.name, elementType: type, shape: shape, storage: storage,
                    byteOffset: rawContents[rawIndex].lowerBound,
                    byteCount: rawContents[rawIndex].count)
                rawIndex += 1
            } else {
                tensor = try typedTensor(input, type, shape)
            }
            bound.append(
                NamedTensor(name: input.name, tensor: tensor, parameters: input.parameters))
        }
        guard rawIndex == rawContents.count else { throw rawCountMismatch() }
        return bound
    }

    private func rawCountMismatch() -> ServingError {
        ServingError(
            .invalidArgument,
            "expected number of raw_input_contents to match the inputs that are not in shared "
                + "memory, got \(rawContents.count) for \(inputs.count) inputs of model "
                + "'\(model)'")
    }

    private func refuseContents(of input: InputDraft, _ reason: String) throws(ServingError) {
        guard input.contents == nil else {
            throw ServingError(
                .invalidArgument,
                "contents field must not be specified for input '\(input.name)' of model "
                    + "'\(model)': \(reason)")
        }
    }

    /// The message's bytes as tensor storage that keeps the message alive.
    private func messageStorage() -> TensorStorage {
        unsafe message.withUnsafeReadableBytesWithStorageManagement { bytes, owner in
            guard let start = bytes.baseAddress else { return TensorStorage(byteCount: 0) }
            return unsafe TensorStorage(
                borrowing: UnsafeMutableRawPointer(mutating: start), byteCount: bytes.count,
                owner: owner.takeUnretainedValue())
        }
    }

    private func typedTensor(
        _ input: InputDraft, _ type: ElementType, _ shape: Shape
    ) throws -> Tensor {
        let contents = input.contents ?? 0..<0
        return try unsafe message.withUnsafeReadableBytes { bytes in
            let inner = unsafe UnsafeRawBufferPointer(rebasing: bytes[contents])
            var typed = unsafe TypedContents(ProtobufReader(inner), input: input.name, type)
            return try typed.tensor(shape: shape)
        }
    }
}
