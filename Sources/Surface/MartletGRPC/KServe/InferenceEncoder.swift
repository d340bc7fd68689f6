// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
package import MartletServing
internal import MartletTensor
package import MartletWire
package import NIOCore

/// Writes a `ModelInferResponse`, or one inside a `ModelStreamInferResponse`, as a framed message.
/// Each output's bytes are copied once: from its tensor into the buffer that goes to the socket.
package enum InferenceEncoder {
    /// Larger responses cannot be framed by gRPC.
    private static let messageBytesMax = Int(Int32.max)

    /// The response as the message of a unary call.
    package static func message(
        _ response: InferenceResponse, allocator: ByteBufferAllocator
    ) throws(GRPCStatus) -> ByteBuffer {
        let head = fields(of: response)
        let size = head.count + rawByteCount(of: response)
        var buffer = try makeBuffer(size, allocator)
        buffer.writeBytes(head)
        writeRawContents(of: response, to: &buffer)
        return buffer
    }

    /// The response as a message of a stream.
    package static func streamMessage(
        _ response: InferenceResponse, allocator: ByteBufferAllocator
    ) throws(GRPCStatus) -> ByteBuffer {
        let head = fields(of: response)
        let size = head.count + rawByteCount(of: response)
        var wrapper = ProtobufWriter()
        wrapper.tag(2, .lengthDelimited)
        wrapper.rawVarint(UInt64(size))
        var buffer = try makeBuffer(wrapper.bytes.count + size, allocator)
        buffer.writeBytes(wrapper.bytes)
        buffer.writeBytes(head)
        writeRawContents(of: response, to: &buffer)
        return buffer
    }

    /// An error as a message of a stream, with the id of the request that it answers.
    package static func streamError(_ message: String, id: String) -> ByteBuffer {
        var writer = ProtobufWriter()
        writer.bytes = GRPCCall.messagePrefix
        writer.string(1, message.isEmpty ? "unknown error" : message)
        let mark = writer.beginMessage(2)
        writer.text(3, id)
        writer.endMessage(mark)
        return ByteBuffer(bytes: writer.bytes)
    }

    private static func makeBuffer(
        _ size: Int, _ allocator: ByteBufferAllocator
    ) throws(GRPCStatus) -> ByteBuffer {
        guard size <= messageBytesMax else {
            throw GRPCStatus(
                .resourceExhausted, "the response has \(size) bytes, gRPC allows 2 GiB")
        }
        var buffer = allocator.buffer(capacity: size + GRPCCall.messagePrefix.count)
        buffer.writeBytes(GRPCCall.messagePrefix)
        return buffer
    }

    // MARK: Fields

    /// Everything but the raw contents.
    private static func fields(of response: InferenceResponse) -> [UInt8] {
        var writer = ProtobufWriter(reservingCapacity: 64 + 48 * response.outputs.count)
        writer.text(1, response.model)
        writer.text(2, response.version)
        writer.text(3, response.id)
        write(response.parameters, field: 4, to: &writer)
        for output in response.outputs {
            let mark = writer.beginMessage(5)
            writer.text(1, output.name)
            writer.text(2, output.tensor.elementType.protocolName ?? "")
            writer.packed(3, output.tensor.shape.lazy.map { Int64($0) })
            write(output.parameters, field: 4, to: &writer)
            writer.endMessage(mark)
        }
        return writer.bytes
    }

    private static func write(
        _ parameters: Parameters, field: Int, to writer: inout ProtobufWriter
    ) {
        guard !parameters.isEmpty else { return }
        for (key, value) in parameters.sorted(by: { $0.key < $1.key }) {
            writer.mapEntry(field, key: key) { entry in
                let mark = entry.beginMessage(2)
                switch value {
                case .bool(let value): entry.bool(1, value)
                case .int(let value): entry.int64(2, value)
                case .string(let value): entry.string(3, value)
                case .double(let value): entry.double(4, value)
                case .uint(let value): entry.uint64(5, value)
                }
                entry.endMessage(mark)
            }
        }
    }

    // MARK: Raw contents

    /// The bytes of an output that travel in the message: none when it lies in shared memory, where
    /// its entry stays, empty.
    private static func rawBytes(of output: NamedTensor) -> UnsafeRawBufferPointer {
        output.parameters["shared_memory_region"] == nil
            ? unsafe output.tensor.bytes : unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    }

    private static func rawByteCount(of response: InferenceResponse) -> Int {
        response.outputs.reduce(0) { sum, output in
            let count = unsafe rawBytes(of: output).count
            return sum + 1 + varintByteCount(count) + count
        }
    }

    private static func varintByteCount(_ value: Int) -> Int {
        (max(1, Int.bitWidth - value.leadingZeroBitCount) + 6) / 7
    }

    private static func writeRawContents(
        of response: InferenceResponse, to buffer: inout ByteBuffer
    ) {
        for output in response.outputs {
            let bytes = unsafe rawBytes(of: output)
            buffer.writeInteger(UInt8(6 << 3 | 2))
            var rest = UInt(bytes.count)
            while rest >= 0x80 {
                buffer.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            buffer.writeInteger(UInt8(truncatingIfNeeded: rest))
            unsafe buffer.writeBytes(bytes)
        }
    }
}
