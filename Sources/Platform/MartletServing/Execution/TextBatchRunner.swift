// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletLanguage
internal import MartletTensor
internal import MartletTokenizers

/// Runs batches of encoded texts: pads them to the longest one's bucket, runs, and gives each
/// request its rows of the output.
final class TextBatchRunner: BatchRunner {
    private let encoder: TextEncoder
    private let context: any ExecutionContext
    private let time: any TimeSource
    private var outputs: [Tensor] = []

    init(encoder: TextEncoder, time: any TimeSource) throws {
        self.encoder = encoder
        self.time = time
        context = try encoder.session.makeContext()
    }

    func run(_ batch: [BatchItem], cancellation: Cancellation?, times: inout BatchTimes) {
        let begin = time.now()
        do {
            let encodings = batch.flatMap(\.encodings)
            let bucket = encoder.bucket(encodings.map(\.count).max() ?? 1)
            let inputs = try encoder.makeInputs(count: encodings.count, bucket: bucket)
            try encoder.fill(encodings, bucket: bucket, into: inputs)
            let bound = time.now()
            times.input = begin.duration(to: bound).nanosecondsSaturating
            try context.run(inputs, outputs: &outputs, cancellation: cancellation)
            let computed = time.now()
            times.infer = bound.duration(to: computed).nanosecondsSaturating
            try scatter(to: batch, rows: encodings.count)
            times.output = computed.duration(to: time.now()).nanosecondsSaturating
        } catch {
            let failure = ServingError(failure: error)
            for item in batch { item.result = .failure(failure) }
        }
        outputs.removeAll(keepingCapacity: true)
    }

    private func scatter(to batch: [BatchItem], rows: Int) throws {
        let output = outputs[encoder.outputIndex]
        guard output.elementType == .float32, output.shape.rank == 2, output.shape[0] == rows
        else {
            throw EngineError(
                .invalidModel,
                "the encoder answered \(output.elementType) \(output.shape) for \(rows) texts")
        }
        var slicer = RowSlicer(output, rows: rows)
        for item in batch { item.result = .success([try slicer.next(rows: item.rows)]) }
    }
}
