// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletStorage
internal import MartletTensor
internal import Synchronization

/// A session's weights in the forms that kernels want: made once, shared by all plans and contexts.
final class PackedWeights: Sendable {
    private struct Key: Hashable {
        var value: ValueID
        var format: String
    }

    private struct State {
        var storages: [Key: TensorStorage] = [:]
        var byteCount = 0
    }

    private let state = Mutex(State())
    private let byteCountMax: Int

    init(byteCountMax: Int) {
        self.byteCountMax = byteCountMax
    }

    var byteCount: Int { state.withLock { $0.byteCount } }

    /// The packed form of a constant; `fill` runs under the lock, the first time only.
    ///
    /// A constant without a value in the session's graph (one that a plan worked out) is packed
    /// for that plan alone.
    func storage(
        of tensor: Tensor, value: ValueID?, format: String, byteCount: Int,
        fill: (UnsafeMutableRawPointer) throws -> Void
    ) throws -> TensorStorage {
        guard let value else {
            let storage = TensorStorage(byteCount: byteCount)
            try unsafe fill(storage.base)
            return storage
        }
        let key = Key(value: value, format: format)
        return try state.withLock { state in
            if let known = state.storages[key] { return known }
            let (total, overflow) = state.byteCount.addingReportingOverflow(byteCount)
            guard !overflow, total <= byteCountMax else {
                throw EngineError(
                    .limitExceeded,
                    "packed weights need more than the limit of \(byteCountMax) bytes")
            }
            let storage = TensorStorage(byteCount: byteCount)
            try unsafe fill(storage.base)
            state.storages[key] = storage
            state.byteCount = total
            letGo(of: tensor)
            return storage
        }
    }

    /// Lets the system drop the source's pages: the file brings them back, should another form of
    /// the constant be wanted.
    private func letGo(of tensor: Tensor) {
        guard let file = tensor.storage.lender as? MappedFile, tensor.byteCount > 0 else { return }
        let address = unsafe UInt(bitPattern: tensor.bytes.baseAddress)
        let base = unsafe UInt(bitPattern: file.bytes.baseAddress)
        guard address >= base else { return }
        let offset = Int(address - base)
        file.advise(.dontNeed, in: offset..<(offset + tensor.byteCount))
    }
}
