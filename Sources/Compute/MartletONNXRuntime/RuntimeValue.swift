// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletONNXRuntime
internal import MartletEngine
internal import MartletTensor

/// A value of the library's, given back with the last reference.
// Sendable: the value is not written once it is shared.
@safe final class RuntimeValue: @unchecked Sendable {
    let address: UnsafeMutableRawPointer
    private let library: ONNXRuntimeLibrary
    /// Holds the memory that the value views.
    private let viewed: Tensor?

    init(_ library: ONNXRuntimeLibrary, owning address: UnsafeMutableRawPointer) {
        self.library = library
        unsafe self.address = address
        viewed = nil
    }

    /// A value that is the tensor's own memory.
    init(_ library: ONNXRuntimeLibrary, viewing tensor: Tensor) throws(EngineError) {
        guard let number = tensor.elementType.runtimeNumber else {
            throw EngineError(
                .unsupported, "ONNX Runtime knows no elements of \(tensor.elementType)")
        }
        let dimensions = tensor.shape.map { Int64($0) }
        var made: UnsafeMutableRawPointer?
        try unsafe library.call("bind a tensor of shape \(tensor.shape)") {
            unsafe martlet_ort_tensor(
                $0, tensor.storage.base + tensor.byteOffset, tensor.byteCount, dimensions,
                dimensions.count, number, &made)
        }
        unsafe address = try RuntimeValue.checked(made)
        self.library = library
        viewed = tensor
    }

    /// A copy of a `bytes` tensor's texts, which is the only way that the library takes them.
    init(
        _ library: ONNXRuntimeLibrary, texts tensor: Tensor, name: String
    ) throws(EngineError) {
        let dimensions = tensor.shape.map { Int64($0) }
        var made: UnsafeMutableRawPointer?
        try unsafe library.call("bind '\(name)'") {
            unsafe martlet_ort_texts($0, dimensions, dimensions.count, &made)
        }
        unsafe address = try RuntimeValue.checked(made)
        self.library = library
        viewed = nil
        try setTexts(tensor, name: name)
    }

    deinit { unsafe library.withTable { unsafe martlet_ort_value_release($0, address) } }

    private static func checked(
        _ made: UnsafeMutableRawPointer?
    ) throws(EngineError) -> UnsafeMutableRawPointer {
        guard let made = unsafe made else {
            throw EngineError(.internal, "ONNX Runtime gave no value")
        }
        return unsafe made
    }

    /// Where the elements lie.
    func data() throws(EngineError) -> UnsafeMutableRawPointer? {
        var data: UnsafeMutableRawPointer?
        try unsafe library.call("read a value") {
            unsafe martlet_ort_value_data($0, address, &data)
        }
        return unsafe data
    }

    /// The value as a tensor: its own memory, held by the tensor; texts are copied.
    func tensor(name: String) throws(EngineError) -> Tensor {
        var number: Int32 = 0
        var rank = 0
        var dimensions = [Int64](repeating: 0, count: Shape.rankMax)
        try unsafe library.call("read output '\(name)'") {
            unsafe martlet_ort_value_shape(
                $0, address, &number, &dimensions, dimensions.count, &rank)
        }
        guard let elementType = ElementType(runtimeNumber: number), rank <= Shape.rankMax,
            let shape = Shape(dimensions.prefix(rank).map { Int($0) }),
            let count = shape.elementCountChecked
        else {
            throw EngineError(
                .unsupported,
                "output '\(name)': element type \(number) of \(rank) dimensions is not known")
        }
        do {
            if elementType == .bytes { return try texts(shape: shape, count: count, name: name) }
            guard let byteCount = elementType.byteCount(elements: count) else {
                throw EngineError(.limitExceeded, "output '\(name)': shape \(shape) overflows")
            }
            guard let data = unsafe try data(), byteCount > 0 else {
                return try Tensor(
                    elementType: elementType, shape: shape, storage: TensorStorage(byteCount: 0))
            }
            let storage = unsafe TensorStorage(
                borrowing: data, byteCount: byteCount, owner: self)
            return try Tensor(elementType: elementType, shape: shape, storage: storage)
        } catch let error as EngineError {
            throw error
        } catch {
            throw EngineError(.internal, "output '\(name)': \(error)", cause: error)
        }
    }

    // MARK: Texts

    private func setTexts(_ tensor: Tensor, name: String) throws(EngineError) {
        let bytes = unsafe tensor.bytes
        let count = tensor.elementCount
        var position = 0
        for index in 0..<count {
            let left = bytes.count - position
            guard left >= 4 else { throw RuntimeValue.malformed(tensor, name) }
            let length = Int(
                UInt32(
                    littleEndian: unsafe bytes.loadUnaligned(
                        fromByteOffset: position, as: UInt32.self)))
            guard length <= left - 4 else { throw RuntimeValue.malformed(tensor, name) }
            let range = position + 4..<position + 4 + length
            var text = [CChar](repeating: 0, count: length + 1)
            unsafe text.withUnsafeMutableBytes { target in
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[..<length])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
            }
            if text.firstIndex(of: 0) != length {
                throw EngineError(
                    .invalidInput,
                    "input '\(name)': element \(index) holds a zero byte, which ends a text for "
                        + "ONNX Runtime")
            }
            try unsafe library.call("bind '\(name)'") {
                unsafe martlet_ort_text_set($0, address, index, text)
            }
            position = range.upperBound
        }
        guard position == bytes.count else { throw RuntimeValue.malformed(tensor, name) }
    }

    private static func malformed(_ tensor: Tensor, _ name: String) -> EngineError {
        EngineError(
            .invalidInput,
            "input '\(name)': \(tensor.byteCount) bytes do not hold \(tensor.elementCount) "
                + "length-prefixed elements")
    }

    private func texts(shape: Shape, count: Int, name: String) throws -> Tensor {
        var total = 0
        try unsafe library.call("read output '\(name)'") {
            unsafe martlet_ort_texts_size($0, address, &total)
        }
        let (size, overflow) = total.addingReportingOverflow(count.multipliedSaturating(by: 4))
        guard !overflow, total >= 0 else {
            throw EngineError(.limitExceeded, "output '\(name)': its texts overflow")
        }
        var offsets = [Int](repeating: 0, count: count)
        let raw = TensorStorage(byteCount: total)
        if count > 0 {
            try unsafe library.call("read output '\(name)'") {
                unsafe martlet_ort_texts_read($0, address, raw.base, total, &offsets, count)
            }
        }
        let storage = TensorStorage(byteCount: size)
        let target = unsafe storage.mutableBytes
        var position = 0
        for index in 0..<count {
            let end = index + 1 < count ? offsets[index + 1] : total
            let length = end - offsets[index]
            unsafe target.storeBytes(
                of: UInt32(clamping: length).littleEndian, toByteOffset: position,
                as: UInt32.self)
            unsafe UnsafeMutableRawBufferPointer(
                rebasing: target[(position + 4)..<(position + 4 + length)]
            ).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: raw.bytes[offsets[index]..<end]))
            position += 4 + length
        }
        return try Tensor(
            elementType: .bytes, shape: shape, storage: storage, byteCount: position)
    }
}

extension Int {
    fileprivate func multipliedSaturating(by factor: Int) -> Int {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }
}
