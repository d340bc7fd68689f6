// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletServing

/// The protocol's `ModelStatistics` message.
enum StatisticsEncoder {
    static func write(_ statistics: ModelStatistics, to message: inout ProtobufWriter) {
        message.text(1, statistics.name)
        message.text(2, statistics.version)
        message.number(3, statistics.lastInferenceMilliseconds)
        message.number(4, statistics.inferenceCount)
        message.number(5, statistics.executionCount)
        let mark = message.beginMessage(6)
        duration(1, statistics.success, to: &message)
        duration(2, statistics.fail, to: &message)
        duration(3, statistics.queue, to: &message)
        duration(4, statistics.computeInput, to: &message)
        duration(5, statistics.computeInfer, to: &message)
        duration(6, statistics.computeOutput, to: &message)
        duration(7, DurationTotal(), to: &message)
        duration(8, DurationTotal(), to: &message)
        message.endMessage(mark)
        for batch in statistics.batches {
            let mark = message.beginMessage(7)
            message.number(1, UInt64(max(0, batch.batchSize)))
            duration(2, batch.computeInput, to: &message)
            duration(3, batch.computeInfer, to: &message)
            duration(4, batch.computeOutput, to: &message)
            message.endMessage(mark)
        }
        if statistics.memoryBytes > 0 {
            let mark = message.beginMessage(8)
            message.string(1, "CPU")
            message.number(3, statistics.memoryBytes)
            message.endMessage(mark)
        }
    }

    private static func duration(
        _ field: Int, _ total: DurationTotal, to message: inout ProtobufWriter
    ) {
        let mark = message.beginMessage(field)
        message.number(1, total.count)
        message.number(2, total.nanoseconds)
        message.endMessage(mark)
    }
}
