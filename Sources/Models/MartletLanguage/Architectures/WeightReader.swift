// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import MartletTensor

/// Takes weights from safetensors files by name and shape, and collects what is wrong with them.
struct WeightReader {
    let model: SafetensorsModel
    let path: String
    private(set) var problems: [String] = []
    /// What every encoder weight's name begins with in this file ("bert." or nothing).
    private var prefix = ""

    init(_ model: SafetensorsModel, path: String) {
        self.model = model
        self.path = path
    }

    /// Chooses the prefix under which the encoder's weights are stored.
    mutating func choosePrefix(_ candidates: [String], probe: String) {
        for candidate in candidates where model[candidate + probe] != nil {
            prefix = candidate
            return
        }
    }

    /// A weight of the encoder as float32; a placeholder and a noted problem when it is not right.
    mutating func encoderWeight(_ name: String, _ dimensions: [Int]) -> Tensor? {
        weight(prefix + name, dimensions)
    }

    /// A weight by its full name. `dimensions` of -1 are not checked.
    mutating func weight(_ name: String, _ dimensions: [Int]) -> Tensor? {
        guard let found = find(name) else {
            problems.append("'\(name)' \(dimensions) is missing")
            return nil
        }
        let fits =
            found.dimensions.count == dimensions.count
            && zip(found.dimensions, dimensions).allSatisfy { $1 < 0 || $0 == $1 }
        guard fits else {
            problems.append("'\(found.name)': expected \(dimensions), found \(found.dimensions)")
            return nil
        }
        do {
            return try WeightReader.float32(found)
        } catch {
            problems.append("'\(found.name)': \(error)")
            return nil
        }
    }

    /// Old files call a layer norm's weight and bias gamma and beta.
    private func find(_ name: String) -> SafetensorsTensor? {
        if let found = model[name] { return found }
        for (new, old) in [(".weight", ".gamma"), (".bias", ".beta")] where name.hasSuffix(new) {
            if let found = model[String(name.dropLast(new.count)) + old] { return found }
        }
        return nil
    }

    func has(_ name: String) -> Bool { find(name) != nil }

    /// Weights of one width, stacked: what one matrix product needs instead of several.
    mutating func stackedEncoderWeights(_ names: [String], _ dimensions: [Int]) -> Tensor? {
        let parts = names.map { encoderWeight($0, dimensions) }
        var shape = Shape(dimensions) ?? []
        var byteCount = 0
        for part in parts {
            guard let part else { return nil }
            byteCount += part.byteCount
        }
        shape[0] *= parts.count
        let storage = TensorStorage(byteCount: byteCount)
        var offset = 0
        for case let part? in parts {
            unsafe UnsafeMutableRawBufferPointer(rebasing: storage.mutableBytes[offset...])
                .copyMemory(from: part.bytes)
            offset += part.byteCount
        }
        return try? Tensor(elementType: .float32, shape: shape, storage: storage)
    }

    /// The tensor's elements as float32: a view of the file where they are that and aligned.
    static func float32(_ source: SafetensorsTensor) throws -> Tensor {
        guard let shape = Shape(source.dimensions) else {
            throw TensorError(.invalidShape, "\(source.dimensions.count) dimensions")
        }
        let count = shape.elementCountChecked ?? 0
        switch source.dataType {
        case .float32 where source.bytes.isAligned(to: 4) && count > 0:
            guard let base = unsafe source.bytes.bytes.baseAddress else {
                throw TensorError(.outOfBounds, "no bytes")
            }
            let storage = unsafe TensorStorage(
                borrowing: UnsafeMutableRawPointer(mutating: base),
                byteCount: source.bytes.count, owner: source.bytes.owner)
            return try Tensor(elementType: .float32, shape: shape, storage: storage)
        case .float32, .float16, .bfloat16, .float64:
            let storage = TensorStorage(byteCount: count * MemoryLayout<Float>.stride)
            let target = unsafe storage.mutableBytes.assumingMemoryBound(to: Float.self)
            let bytes = unsafe source.bytes.bytes
            for index in 0..<count {
                unsafe target[index] = convert(bytes, index, source.dataType)
            }
            return try Tensor(elementType: .float32, shape: shape, storage: storage)
        default:
            throw TensorError(
                .typeMismatch, "weights of type \(source.dataType) are not supported")
        }
    }

    private static func convert(
        _ bytes: UnsafeRawBufferPointer, _ index: Int, _ type: ONNXDataType
    ) -> Float {
        switch type {
        case .float16:
            Float(
                Float16(
                    bitPattern: unsafe bytes.loadUnaligned(
                        fromByteOffset: index * 2, as: UInt16.self)))
        case .bfloat16:
            Float(
                bitPattern: UInt32(
                    unsafe bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)) << 16)
        case .float64:
            Float(unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: Double.self))
        default: unsafe bytes.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
        }
    }
}
