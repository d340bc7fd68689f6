// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
package import MartletTensor

/// Answers the protocol's classification: the k best elements of a row as "value:index[:label]".
package enum Classification {
    /// Up to this many are kept by insertion, which is quickest for the few that people ask for.
    private static let insertedMax = 64

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
                let value = formatted(values[base + index], of: tensor, at: base + index)
                var text = "\(value):\(index)"
                if index < labels.count { text += ":" + labels[index] }
                texts.append(text)
            }
        }
        let shape: Shape = isBatched ? [rows, kept] : [kept]
        return try BytesTensor.make(texts, shape: shape)
    }

    /// Indices of the largest values, best first; equal values keep their order, NaN comes last.
    static func best(_ values: [Double], from base: Int, width: Int, count: Int) -> [Int] {
        func precedes(_ left: Int, _ right: Int) -> Bool {
            let (first, second) = (values[base + left], values[base + right])
            return first > second || (second.isNaN && !first.isNaN)
        }
        // The client chooses the count: inserting into a long list takes the square of it.
        if count > insertedMax { return Array((0..<width).sorted(by: precedes).prefix(count)) }
        var kept: [Int] = []
        kept.reserveCapacity(count + 1)
        for index in 0..<width {
            if kept.count == count, let last = kept.last, !precedes(index, last) { continue }
            let place = kept.firstIndex { precedes(index, $0) } ?? kept.count
            kept.insert(index, at: place)
            if kept.count > count { kept.removeLast() }
        }
        return kept
    }

    /// One element as text; 64-bit integers exactly, which no double holds.
    private static func formatted(_ value: Double, of tensor: Tensor, at index: Int) -> String {
        switch tensor.elementType {
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
        case .int64, .uint64:
            let bits = unsafe tensor.bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
            return tensor.elementType == .uint64
                ? String(bits) : String(Int64(bitPattern: bits))
        default: return String(Int64(value))
        }
    }

    /// The elements as doubles; to be compared: exact but for 64-bit integers above 2⁵³.
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
