// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// A part of a registered shared-memory region that a tensor's parameters name.
public struct SharedMemoryRange: Sendable, Hashable {
    public var region: String
    public var offset: Int
    public var byteSize: Int

    public init(region: String, offset: Int, byteSize: Int) {
        self.region = region
        self.offset = offset
        self.byteSize = byteSize
    }
}

extension ProtocolRequest {
    /// The region that a tensor's parameters name; nil when they name none.
    public static func sharedMemory(
        _ parameters: Parameters, of tensor: String
    ) throws(ServingError) -> SharedMemoryRange? {
        guard let value = parameters["shared_memory_region"] else { return nil }
        guard case .string(let region) = value else {
            throw ServingError(
                .invalidArgument, "'\(tensor)': shared_memory_region must be a string")
        }
        guard let byteSize = try unsigned("shared_memory_byte_size", in: parameters) else {
            throw ServingError(
                .invalidArgument,
                "'\(tensor)': shared_memory_region is given without shared_memory_byte_size")
        }
        let offset = try unsigned("shared_memory_offset", in: parameters) ?? 0
        return SharedMemoryRange(
            region: region, offset: Int(clamping: offset), byteSize: Int(clamping: byteSize))
    }

    /// An input whose data lies in shared memory; the bytes are copied here and now.
    public static func tensor(
        input: String, elementType: ElementType, shape: Shape, from range: SharedMemoryRange,
        in registry: SharedMemoryRegistry
    ) throws(ServingError) -> Tensor {
        if let count = shape.elementCountChecked,
            let expected = elementType.byteCount(elements: count), expected != range.byteSize
        {
            throw ServingError(
                .invalidArgument,
                "input byte size mismatch for input '\(input)': expected \(expected) bytes for "
                    + "\(elementType.protocolName ?? "?") \(shape), got \(range.byteSize)")
        }
        let copy: Tensor
        do {
            copy = try registry.tensor(
                region: range.region, offset: range.offset, byteSize: range.byteSize,
                elementType: elementType, shape: shape)
        } catch let error as SharedMemoryError {
            throw ServingError(error)
        } catch {
            throw ServingError(.invalidArgument, "input '\(input)': \(error)", cause: error)
        }
        guard elementType == .bytes else { return copy }
        return try tensor(
            input: input, elementType: elementType, shape: shape, storage: copy.storage,
            byteOffset: copy.byteOffset, byteCount: copy.byteCount)
    }

    /// Checks, before anything is computed, that requested outputs fit where they shall go.
    public static func checkSharedMemory(
        of outputs: [RequestedOutput], in registry: SharedMemoryRegistry
    ) throws(ServingError) {
        for output in outputs where !output.parameters.isEmpty {
            guard let range = try sharedMemory(output.parameters, of: output.name) else { continue }
            do throws(SharedMemoryError) {
                try registry.check(
                    region: range.region, offset: range.offset, byteSize: range.byteSize)
            } catch {
                throw ServingError(error)
            }
        }
    }

    /// Writes the outputs that were asked for in shared memory there. Such an output is told by its
    /// `shared_memory_region` parameter: a door sends its name, type and shape, but no data.
    public static func deliverSharedMemory(
        _ response: inout InferenceResponse, requested: [RequestedOutput],
        in registry: SharedMemoryRegistry
    ) throws(ServingError) {
        for output in requested where output.parameters["shared_memory_region"] != nil {
            guard let range = try sharedMemory(output.parameters, of: output.name),
                let index = response.outputs.firstIndex(where: { $0.name == output.name })
            else { continue }
            let tensor = response.outputs[index].tensor
            guard tensor.byteCount <= range.byteSize else {
                throw ServingError(
                    .invalidArgument,
                    "shared memory size specified with the request for output '\(output.name)' "
                        + "(\(range.byteSize) bytes) should be at least \(tensor.byteCount) bytes "
                        + "to hold the results")
            }
            do throws(SharedMemoryError) {
                try registry.write(tensor, region: range.region, offset: range.offset)
            } catch {
                throw ServingError(error)
            }
            response.outputs[index].parameters["shared_memory_region"] = .string(range.region)
            response.outputs[index].parameters["shared_memory_byte_size"] =
                .int(Int64(tensor.byteCount))
            if range.offset != 0 {
                response.outputs[index].parameters["shared_memory_offset"] =
                    .int(Int64(range.offset))
            }
        }
    }
}
