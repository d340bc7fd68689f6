// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor
public import MartletTokenizers

extension TextEncoder {
    /// The padded length for a text of `length` tokens: few enough lengths that plans are reused,
    /// close enough that little is computed for padding (multiples of 8, then 16, 32 and 64).
    public func bucket(_ length: Int) -> Int {
        let step =
            switch length {
            case ...64: 8
            case ...128: 16
            case ...256: 32
            default: 64
            }
        let rounded = (max(length, 1) + step - 1) / step * step
        return min(rounded, max(sequenceLengthMax, length))
    }

    /// Fresh input tensors, in the signature's order, for `count` texts of `bucket` tokens.
    public func makeInputs(count: Int, bucket: Int) throws -> [Tensor] {
        try roles.map { _ in
            let (elements, overflow) = count.multipliedReportingOverflow(by: bucket)
            guard count > 0, bucket > 0, !overflow, elements <= 1 << 28 else {
                throw LanguageError(
                    .limitExceeded, "a batch of \(count) texts of \(bucket) tokens is too large")
            }
            return try Tensor(
                elementType: .int64, shape: [count, bucket],
                storage: TensorStorage(byteCount: elements * MemoryLayout<Int64>.stride))
        }
    }

    /// Writes ids, masks and types of `encodings` into `tensors`, padding each to `bucket`.
    ///
    /// The tensors are [count, bucket] of INT64 in the signature's order, as `makeInputs` makes
    /// them; nobody may read them meanwhile.
    /// - Throws: `LanguageError` when they are not, or when an encoding is longer than `bucket`.
    public func fill(
        _ encodings: some Collection<Encoding>, bucket: Int, into tensors: [Tensor]
    ) throws(LanguageError) {
        let shape: Shape = [encodings.count, bucket]
        guard tensors.count == roles.count,
            tensors.allSatisfy({ $0.elementType == .int64 && $0.shape == shape })
        else {
            throw LanguageError(
                .invalidInput,
                "fill: expected \(roles.count) tensors of INT64 \(shape), got "
                    + tensors.map { "\($0.elementType) \($0.shape)" }.joined(separator: ", "))
        }
        for encoding in encodings
        where encoding.count > bucket || encoding.ids.isEmpty
            || encoding.typeIDs.count != encoding.count
        {
            throw LanguageError(
                .invalidInput,
                "fill: a text of \(encoding.count) tokens and \(encoding.typeIDs.count) types in "
                    + "a bucket of \(bucket)")
        }
        for (role, tensor) in zip(roles, tensors) { fill(encodings, bucket, role, tensor) }
    }

    private func fill(
        _ encodings: some Collection<Encoding>, _ bucket: Int, _ role: Role, _ tensor: Tensor
    ) {
        let storage = tensor.storage
        let target = unsafe UnsafeMutableRawBufferPointer(
            rebasing: storage.mutableBytes[
                tensor.byteOffset..<tensor.byteOffset + tensor.byteCount])
        var offset = 0
        func put(_ value: Int64) {
            unsafe target.storeBytes(of: value, toByteOffset: offset, as: Int64.self)
            offset += MemoryLayout<Int64>.stride
        }
        for encoding in encodings {
            switch role {
            case .ids:
                for id in encoding.ids { put(Int64(id)) }
            case .mask:
                for _ in encoding.ids { put(1) }
            case .types:
                for typeID in encoding.typeIDs { put(Int64(typeID)) }
            }
            for _ in encoding.count..<bucket { put(role == .ids ? padTokenID : 0) }
        }
    }
}
