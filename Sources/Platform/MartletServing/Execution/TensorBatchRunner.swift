// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
package import MartletEngine
internal import MartletTensor

/// Runs batches of tensors on one engine context: joins inputs along the first axis, runs, and
/// gives each request its rows of the outputs as views that keep the batch's storage alive.
///
/// A batch of one request is bound as it is, without a copy.
package final class TensorBatchRunner: BatchRunner {
    private let context: any ExecutionContext
    private let isBatched: Bool
    private let time: any TimeSource
    private var joined: [TensorStorage?] = []
    private var inputs: [Tensor] = []
    private var outputs: [Tensor] = []

    package init(context: any ExecutionContext, isBatched: Bool, time: any TimeSource) {
        self.context = context
        self.isBatched = isBatched
        self.time = time
    }

    package func run(
        _ batch: [BatchItem], cancellation: Cancellation?, times: inout BatchTimes
    ) {
        let begin = time.now()
        do {
            try bind(batch)
            let bound = time.now()
            times.input = begin.duration(to: bound).nanosecondsSaturating
            try context.run(inputs, outputs: &outputs, cancellation: cancellation)
            let computed = time.now()
            times.infer = bound.duration(to: computed).nanosecondsSaturating
            try scatter(to: batch)
            times.output = computed.duration(to: time.now()).nanosecondsSaturating
        } catch {
            let failure = ServingError(failure: error)
            for item in batch { item.result = .failure(failure) }
        }
        inputs.removeAll(keepingCapacity: true)
        outputs.removeAll(keepingCapacity: true)
    }

    private func bind(_ batch: [BatchItem]) throws {
        if batch.count == 1 {
            inputs.append(contentsOf: batch[0].inputs)
            return
        }
        for position in 0..<batch[0].inputs.count { inputs.append(try join(batch, position)) }
    }

    /// One input of all requests, one after the other in storage that is used again.
    private func join(_ batch: [BatchItem], _ position: Int) throws -> Tensor {
        var byteCount = 0
        var rows = 0
        for item in batch {
            byteCount += item.inputs[position].byteCount
            rows += item.rows
        }
        let storage = storage(position, byteCount: byteCount)
        var offset = 0
        for item in batch {
            let tensor = item.inputs[position]
            let target = unsafe UnsafeMutableRawBufferPointer(
                rebasing: storage.mutableBytes[offset..<offset + tensor.byteCount])
            unsafe target.copyMemory(from: tensor.bytes)
            offset += tensor.byteCount
        }
        let first = batch[0].inputs[position]
        var shape = first.shape
        shape[0] = rows
        return try Tensor(
            elementType: first.elementType, shape: shape, storage: storage, byteCount: byteCount)
    }

    /// Storage for a joined input; a fresh one while somebody still holds the last (an engine may
    /// answer with its input).
    private func storage(_ position: Int, byteCount: Int) -> TensorStorage {
        while joined.count <= position { joined.append(nil) }
        if let held = joined[position], held.byteCount >= byteCount,
            isKnownUniquelyReferenced(&joined[position])
        {
            return held
        }
        let fresh = TensorStorage(byteCount: byteCount)
        joined[position] = fresh
        return fresh
    }

    private func scatter(to batch: [BatchItem]) throws {
        if batch.count == 1 {
            batch[0].result = .success(outputs)
            return
        }
        let rows = batch.reduce(0) { $0 + $1.rows }
        var parts = Array(repeating: [Tensor](), count: batch.count)
        for output in outputs {
            guard output.shape.first == rows else {
                throw EngineError(
                    .invalidModel,
                    "an output of shape \(output.shape) does not have the batch's \(rows) rows")
            }
            var slicer = RowSlicer(output, rows: rows)
            for (index, item) in batch.enumerated() {
                parts[index].append(try slicer.next(rows: item.rows))
            }
        }
        for (index, item) in batch.enumerated() { item.result = .success(parts[index]) }
    }
}

/// Cuts a tensor into runs of rows, front to back, as views of its storage.
struct RowSlicer {
    private let tensor: Tensor
    private let rowBytes: Int?
    private let rowElements: Int
    private var offset = 0

    init(_ tensor: Tensor, rows: Int) {
        self.tensor = tensor
        rowBytes = tensor.elementType == .bytes ? nil : tensor.byteCount / max(1, rows)
        rowElements = tensor.shape.dropFirst().reduce(1, *)
    }

    mutating func next(rows: Int) throws -> Tensor {
        var shape = tensor.shape
        shape[0] = rows
        let byteCount = try rowBytes.map { $0 * rows } ?? serialised(elements: rowElements * rows)
        defer { offset += byteCount }
        return try Tensor(
            elementType: tensor.elementType, shape: shape, storage: tensor.storage,
            byteOffset: tensor.byteOffset + offset, byteCount: byteCount)
    }

    /// The bytes that the next `elements` BYTES elements take, length prefixes included.
    private func serialised(elements: Int) throws -> Int {
        let bytes = unsafe tensor.bytes
        var position = offset
        for _ in 0..<elements {
            guard position + 4 <= bytes.count else {
                throw EngineError(.internal, "a BYTES output ends inside an element")
            }
            let length = unsafe bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self)
            position += 4 + Int(UInt32(littleEndian: length))
        }
        guard position <= bytes.count else {
            throw EngineError(.internal, "a BYTES output ends inside an element")
        }
        return position - offset
    }
}
