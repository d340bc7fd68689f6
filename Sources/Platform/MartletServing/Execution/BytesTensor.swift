// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletTensor

/// BYTES tensors to and from texts.
package enum BytesTensor {
    /// A tensor of `texts` in the protocol's form: each a 4-byte length and its UTF-8.
    package static func make(
        _ texts: [String], shape: Shape
    ) throws(ServingError) -> Tensor {
        let byteCount = texts.reduce(0) { $0 + 4 + $1.utf8.count }
        let storage = TensorStorage(byteCount: byteCount)
        let target = unsafe storage.mutableBytes
        var offset = 0
        for text in texts {
            let length = UInt32(clamping: text.utf8.count).littleEndian
            unsafe target.storeBytes(of: length, toByteOffset: offset, as: UInt32.self)
            offset += 4
            var copy = text
            copy.withUTF8 { utf8 in
                unsafe UnsafeMutableRawBufferPointer(
                    rebasing: target[offset..<offset + utf8.count]
                ).copyMemory(from: UnsafeRawBufferPointer(utf8))
            }
            offset += text.utf8.count
        }
        do {
            return try Tensor(
                elementType: .bytes, shape: shape, storage: storage, byteCount: byteCount)
        } catch {
            throw ServingError(.internal, "BYTES of shape \(shape): \(error)", cause: error)
        }
    }

    /// The elements, each as a range of the tensor's bytes.
    /// - Throws: `ServingError.invalidArgument` when lengths and bytes do not add up.
    package static func ranges(
        _ tensor: Tensor, name: String
    ) throws(ServingError) -> [Range<Int>] {
        let bytes = unsafe tensor.bytes
        let count = tensor.shape.elementCountChecked ?? 0
        var ranges: [Range<Int>] = []
        var position = 0
        while position < bytes.count {
            guard bytes.count - position >= 4 else { break }
            let length = Int(
                UInt32(
                    littleEndian: unsafe bytes.loadUnaligned(
                        fromByteOffset: position, as: UInt32.self)))
            guard length <= bytes.count - position - 4, ranges.count < count else { break }
            ranges.append(position + 4..<position + 4 + length)
            position += 4 + length
        }
        guard position == bytes.count, ranges.count == count else {
            throw ServingError(
                .invalidArgument,
                "input '\(name)': \(bytes.count) bytes do not hold \(count) length-prefixed "
                    + "elements")
        }
        return ranges
    }

    /// The elements as texts.
    package static func texts(_ tensor: Tensor, name: String) throws(ServingError) -> [String] {
        let bytes = unsafe tensor.bytes
        return try ranges(tensor, name: name).map { range in
            unsafe String(decoding: UnsafeRawBufferPointer(rebasing: bytes[range]), as: UTF8.self)
        }
    }
}
