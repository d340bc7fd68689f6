// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
package import MartletTensor

/// Answers the protocol's classification: the k best elements of a row as "value:index[:label]".
package enum Classification {
    /// - Parameters:
    ///   - isBatched: whether the first dimension counts rows, each classified alone.
    ///   - labels: by index; shorter than the output is fine.
    /// - Returns: BYTES of `[rows, k]`, or `[k]` without a batch.
    /// - Throws: `ServingError` for a type that has no order, or `k` below 1.
    package static func topK(
        _ tensor: Tensor, count: Int, isBatched: Bool, labels: [String]
    ) throws(ServingError) -> Tensor {
        let rows = isBatched ? tensor.shape.first ?? 1 : 1
        let elements = tensor.shape.elementCountChecked ?? 0
        guard count >= 1 else {
            throw ServingError(.invalidArgument, "classification count must be at least 1")
        }
        let width = rows > 0 ? elements / rows : 0
        let kept = min(count, width)
        let values = try numbers(tensor, count: elements)
        var texts: [String] = []
        texts.reserveCapacity(rows * kept)
        for row in 0..<rows {
            let base = row * width
            for index in best(values, from: base, width: width, count: kept) {
                var text = formatted(values[base + index], tensor.elementType) + ":\(index)"
                if index < labels.count { text += ":" + labels[index] }
                texts.append(text)
            }
        }
        let shape: Shape = isBatched ? [rows, kept] : [kept]
        return try BytesTensor.make(texts, shape: shape)
    }

    /// Indices of the largest values, best first; equal values keep their order.
    static func best(_ values: [Double], from base: Int, width: Int, count: Int) -> [Int] {
        var kept: [Int] = []
        kept.reserveCapacity(count + 1)
        for index in 0..<width {
            let value = values[base + index]
            if kept.count == count, let last = kept.last, !(value > values[base + last]) {
                continue
            }
            let place = kept.firstIndex { value > values[base + $0] } ?? kept.count
            kept.insert(index, at: place)
            if kept.count > count { kept.removeLast() }
        }
        return kept
    }

    private static func formatted(_ value: Double, _ type: ElementType) -> String {
        switch type {
        case .float32, .float64, .float16, .bfloat16:
            // Six decimals, as std::to_string gives them and clients have learnt to expect.
            guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
            return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 400) { buffer in
                let length = unsafe withVaList([value]) {
                    unsafe vsnprintf(buffer.baseAddress, buffer.count, "%f", $0)
                }
                guard length > 0, length < 400 else { return "\(value)" }
                return unsafe String(
                    decoding: UnsafeRawBufferPointer(buffer).prefix(Int(length)), as: UTF8.self)
            }
        default: return String(Int64(value))
        }
    }

    /// The elements as doubles; exact for every type here but 64-bit integers above 2⁵³.
    private static func numbers(_ tensor: Tensor, count: Int) throws(ServingError) -> [Double] {
        let bytes = unsafe tensor.bytes
        func load<T>(_ type: T.Type, _ convert: (T) -> Double) -> [Double] {
            (0..<count).map { index in
                convert(
                    unsafe bytes.loadUnaligned(
                        fromByteOffset: index * MemoryLayout<T>.stride, as: type))
            }
        }
        switch tensor.elementType {
        case .float32: return load(Float.self) { Double($0) }
        case .float64: return load(Double.self) { $0 }
        case .float16: return load(Float16.self) { Double($0) }
        case .bfloat16:
            return load(UInt16.self) { Double(Float(bitPattern: UInt32($0) << 16)) }
        case .uint8, .bool: return load(UInt8.self) { Double($0) }
        case .int8: return load(Int8.self) { Double($0) }
        case .uint16: return load(UInt16.self) { Double($0) }
        case .int16: return load(Int16.self) { Double($0) }
        case .uint32: return load(UInt32.self) { Double($0) }
        case .int32: return load(Int32.self) { Double($0) }
        case .uint64: return load(UInt64.self) { Double($0) }
        case .int64: return load(Int64.self) { Double($0) }
        default:
            throw ServingError(
                .invalidArgument,
                "class result not available for output due to unsupported type "
                    + "'\(tensor.elementType.protocolName ?? "unknown")'")
        }
    }
}
