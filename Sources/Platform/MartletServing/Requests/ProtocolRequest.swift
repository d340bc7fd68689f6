// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// Turns what Open Inference Protocol clients write into request values. REST and gRPC both use
/// it, so that both doors take and refuse the same things with the same words.
public enum ProtocolRequest {
    /// A requested version; empty and "-1" leave the choice to the model's version policy.
    public static func version(_ text: String) throws(ServingError) -> String? {
        if text.isEmpty || text == "-1" { return nil }
        guard let number = Int64(text), number >= 0, text.utf8.first != UInt8(ascii: "+") else {
            throw ServingError(
                .invalidArgument,
                "failed to get model version from specified version string '\(text)'")
        }
        return String(number)
    }

    /// An input's datatype by its protocol name.
    public static func elementType(
        _ name: String, of input: String
    ) throws(ServingError) -> ElementType {
        guard let type = ElementType(protocolName: name) else {
            throw ServingError(
                .invalidArgument, "input '\(input)': unknown datatype '\(name)'")
        }
        return type
    }

    /// An input's shape: no negative dimension, no overflow, at most `Shape.rankMax` dimensions.
    public static func shape(
        _ dimensions: [Int64], of input: String
    ) throws(ServingError) -> Shape {
        let listed = { "[" + dimensions.prefix(16).map(String.init).joined(separator: ",") + "]" }
        var shape = Shape()
        for dimension in dimensions {
            guard dimension >= 0 else {
                throw ServingError(
                    .invalidArgument,
                    "input '\(input)': shape \(listed()) has a negative dimension")
            }
            shape.append(Int(dimension))
        }
        guard dimensions.count == shape.rank else {
            throw ServingError(
                .invalidArgument,
                "input '\(input)': shape has \(dimensions.count) dimensions, at most "
                    + "\(Shape.rankMax) are supported")
        }
        guard shape.elementCountChecked != nil else {
            throw ServingError(
                .invalidArgument, "input '\(input)': the elements of shape \(listed()) overflow")
        }
        return shape
    }

    /// An input over bytes that the request carries; nothing is copied. BYTES data is walked once,
    /// so that its lengths can be trusted from here on.
    public static func tensor(
        input: String, elementType: ElementType, shape: Shape, storage: TensorStorage,
        byteOffset: Int, byteCount: Int
    ) throws(ServingError) -> Tensor {
        if elementType == .bytes {
            try checkBytes(
                input: input, shape: shape, storage: storage, byteOffset: byteOffset,
                byteCount: byteCount)
        } else if let count = shape.elementCountChecked,
            let expected = elementType.byteCount(elements: count), expected != byteCount
        {
            throw ServingError(
                .invalidArgument,
                "input byte size mismatch for input '\(input)': expected \(expected) bytes for "
                    + "\(elementType.protocolName ?? "?") \(shape), got \(byteCount)")
        }
        do throws(TensorError) {
            return try Tensor(
                elementType: elementType, shape: shape, storage: storage, byteOffset: byteOffset,
                byteCount: byteCount)
        } catch {
            throw ServingError(
                .invalidArgument, "input '\(input)': \(error.message)", cause: error)
        }
    }

    /// Walks the length-prefixed elements of a BYTES tensor.
    private static func checkBytes(
        input: String, shape: Shape, storage: TensorStorage, byteOffset: Int, byteCount: Int
    ) throws(ServingError) {
        let (end, overflow) = byteOffset.addingReportingOverflow(byteCount)
        guard byteOffset >= 0, byteCount >= 0, !overflow, end <= storage.byteCount,
            let expected = shape.elementCountChecked
        else {
            throw ServingError(.invalidArgument, "input '\(input)': its data is out of bounds")
        }
        let bytes = unsafe storage.bytes
        var offset = byteOffset
        var found = 0
        while offset < end {
            guard end - offset >= 4 else {
                throw ServingError(
                    .invalidArgument,
                    "input '\(input)': incomplete string length indicator at byte "
                        + "\(offset - byteOffset) of \(byteCount)")
            }
            let length = unsafe Int(
                UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            offset += 4
            guard length <= end - offset else {
                throw ServingError(
                    .invalidArgument,
                    "input '\(input)': incomplete string data: element \(found) announces "
                        + "\(length) bytes, \(end - offset) are left")
            }
            offset += length
            found += 1
        }
        guard found == expected else {
            throw ServingError(
                .invalidArgument,
                "input '\(input)': expected \(expected) string elements for shape \(shape), got "
                    + "\(found)")
        }
    }

    /// Applies the parameters that steer scheduling; all of them stay readable as parameters.
    public static func apply(
        _ parameters: Parameters, to request: inout InferenceRequest
    ) throws(ServingError) {
        request.parameters = parameters
        guard !parameters.isEmpty else { return }
        if let priority = try unsigned("priority", in: parameters) {
            request.priority = priority
        }
        if let timeout = try unsigned("timeout", in: parameters), timeout > 0 {
            request.queueTimeout = .microseconds(Int64(clamping: timeout))
        }
    }

    /// An output that the client asks for, with its parameters understood.
    public static func output(
        _ name: String, _ parameters: Parameters
    ) throws(ServingError) -> RequestedOutput {
        var classification: Int?
        if let count = try unsigned("classification", in: parameters), count > 0 {
            classification = Int(clamping: count)
            guard parameters["shared_memory_region"] == nil else {
                throw ServingError(
                    .invalidArgument,
                    "output '\(name)': classification cannot be put into shared memory")
            }
        }
        return RequestedOutput(
            name: name, classification: classification, parameters: parameters)
    }

    /// A parameter that must be a whole number of at least 0; nil when it is absent.
    static func unsigned(
        _ name: String, in parameters: Parameters
    ) throws(ServingError) -> UInt64? {
        switch parameters[name] {
        case nil: return nil
        case .uint(let value): return value
        case .int(let value) where value >= 0: return UInt64(value)
        case .string(let text):
            if let value = UInt64(text) { return value }
        default: break
        }
        throw ServingError(
            .invalidArgument, "parameter '\(name)' must be a whole number of at least 0")
    }
}
