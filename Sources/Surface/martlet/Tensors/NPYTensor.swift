// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletBase
internal import MartletFormats
internal import MartletStorage
internal import MartletTensor

/// Tensors from and to NumPy's `.npy` files.
enum NPYTensor {
    private static let types: [(code: String, type: ElementType)] = [
        ("f4", .float32), ("f8", .float64), ("f2", .float16), ("i1", .int8), ("i2", .int16),
        ("i4", .int32), ("i8", .int64), ("u1", .uint8), ("u2", .uint16), ("u4", .uint32),
        ("u8", .uint64), ("b1", .bool),
    ]

    /// Maps a file and views its elements.
    /// - Throws: what is wrong with the file.
    static func read(_ path: String) throws -> Tensor {
        let file = try MappedFile(path: path)
        let header = try NPYHeader(parsing: file.region)
        guard let type = types.first(where: { $0.code == header.typeCode })?.type else {
            throw CommandFailure("\(path): elements of type '\(header.typeCode)' are not supported")
        }
        guard let shape = Shape(header.shape) else {
            throw CommandFailure("\(path): more than \(Shape.rankMax) dimensions")
        }
        guard let count = shape.elementCountChecked, let needed = type.byteCount(elements: count),
            needed == file.region.count - header.dataOffset
        else { throw CommandFailure("\(path): its length does not fit its shape \(shape)") }
        guard let start = unsafe file.region.bytes.baseAddress else {
            throw CommandFailure("\(path): it is empty")
        }
        let storage = unsafe TensorStorage(
            borrowing: UnsafeMutableRawPointer(mutating: start), byteCount: file.region.count,
            owner: file)
        return try Tensor(
            elementType: type, shape: shape, storage: storage, byteOffset: header.dataOffset)
    }

    /// Writes a tensor as a file.
    /// - Throws: when its type has no NumPy code or the file cannot be written.
    static func write(_ tensor: Tensor, to path: String) throws {
        guard let code = types.first(where: { $0.type == tensor.elementType })?.code else {
            throw CommandFailure("\(tensor.elementType) tensors have no NPY form")
        }
        let header = NPYHeader(typeCode: code, shape: Array(tensor.shape)).serialized()
        guard let file = unsafe fopen(path, "w") else {
            throw CommandFailure("\(path) cannot be written")
        }
        let wroteHeader = unsafe header.withUnsafeBytes {
            unsafe fwrite($0.baseAddress, 1, $0.count, file)
        }
        let wroteData = unsafe fwrite(tensor.bytes.baseAddress, 1, tensor.byteCount, file)
        // A full disk may show only now.
        let isClosed = unsafe fclose(file) == 0
        guard wroteHeader == header.count, wroteData == tensor.byteCount, isClosed else {
            throw CommandFailure("\(path) could not be written whole")
        }
    }
}

/// A command's failure, worded for the person who typed it.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
