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
        var slabs = WeightSlabs()
    }

    /// A constant as kernels want it.
    struct Form {
        var value: ValueID
        /// Tells apart forms of one constant.
        var format: String
        var storage: TensorStorage
    }

    private let state: Mutex<State>
    private let byteCountMax: Int

    /// - Parameter forms: what was packed before, by another process perhaps.
    init(byteCountMax: Int, forms: [Form] = []) {
        self.byteCountMax = byteCountMax
        var state = State()
        for form in forms {
            let key = Key(value: form.value, format: form.format)
            state.storages[key] = form.storage
            state.byteCount += form.storage.byteCount
        }
        self.state = Mutex(state)
    }

    /// All that is packed so far, in an order of its own.
    var forms: [Form] {
        state.withLock { state in
            state.storages.map { Form(value: $0.value, format: $0.format, storage: $1) }
        }.sorted { $0.value != $1.value ? $0.value < $1.value : $0.format < $1.format }
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
            let storage = try TensorStorage(allocating: byteCount)
            try unsafe fill(storage.base)
            return storage
        }
        let key = Key(value: value, format: format)
        return try state.withLock { state in
            // A form that came from a file may be of any size.
            if let known = state.storages[key], known.byteCount == byteCount { return known }
            let (total, overflow) = state.byteCount.addingReportingOverflow(byteCount)
            guard !overflow, total <= byteCountMax else {
                throw EngineError(
                    .limitExceeded,
                    "packed weights need more than the limit of \(byteCountMax) bytes")
            }
            let storage = try state.slabs.storage(byteCount: byteCount)
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
