// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletServing

/// The statistics extension's JSON.
enum StatisticsEncoder {
    static func encode(_ all: [ModelStatistics]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("model_stats")
        writer.beginArray()
        for statistics in all { write(statistics, to: &writer) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ statistics: ModelStatistics, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("name")
        writer.string(statistics.name)
        writer.key("version")
        writer.string(statistics.version)
        writer.key("last_inference")
        writer.integer(statistics.lastInferenceMilliseconds)
        writer.key("inference_count")
        writer.integer(statistics.inferenceCount)
        writer.key("execution_count")
        writer.integer(statistics.executionCount)
        writer.key("inference_stats")
        writer.beginObject()
        write("success", statistics.success, to: &writer)
        write("fail", statistics.fail, to: &writer)
        write("queue", statistics.queue, to: &writer)
        write("compute_input", statistics.computeInput, to: &writer)
        write("compute_infer", statistics.computeInfer, to: &writer)
        write("compute_output", statistics.computeOutput, to: &writer)
        write("cache_hit", DurationTotal(), to: &writer)
        write("cache_miss", DurationTotal(), to: &writer)
        writer.endObject()
        writer.key("response_stats")
        writer.beginObject()
        writer.endObject()
        writer.key("batch_stats")
        writer.beginArray()
        for batch in statistics.batches {
            writer.beginObject()
            writer.key("batch_size")
            writer.integer(batch.batchSize)
            write("compute_input", batch.computeInput, to: &writer)
            write("compute_infer", batch.computeInfer, to: &writer)
            write("compute_output", batch.computeOutput, to: &writer)
            writer.endObject()
        }
        writer.endArray()
        write(memoryBytes: statistics.memoryBytes, to: &writer)
        writer.endObject()
    }

    private static func write(
        _ name: String, _ total: DurationTotal, to writer: inout JSONWriter
    ) {
        writer.key(name)
        writer.beginObject()
        writer.key("count")
        writer.integer(total.count)
        writer.key("ns")
        writer.integer(total.nanoseconds)
        writer.endObject()
    }

    private static func write(memoryBytes: UInt64, to writer: inout JSONWriter) {
        writer.key("memory_usage")
        writer.beginArray()
        if memoryBytes > 0 {
            writer.beginObject()
            writer.key("type")
            writer.string("CPU")
            writer.key("id")
            writer.integer(0)
            writer.key("byte_size")
            writer.integer(memoryBytes)
            writer.endObject()
        }
        writer.endArray()
    }
}
