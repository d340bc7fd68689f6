// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletServing
internal import MartletTelemetry

/// The text that Prometheus scrapes: what the libraries counted, the process, and, when asked for,
/// the models' statistics under Triton's names.
struct MetricsPage: Sendable {
    let registry: PrometheusRegistry
    let process: ProcessMetrics
    let host: any ModelHost
    let hasTritonNames: Bool

    func text() -> [UInt8] {
        var text = ""
        registry.write(into: &text)
        process.write(into: &text)
        if hasTritonNames, let statistics = try? host.statistics(model: nil, version: nil) {
            TritonMetrics.write(statistics, into: &text)
        }
        return Array(text.utf8)
    }
}

/// Model statistics under the metric names of Triton Inference Server, so that dashboards and
/// alerts made for it go on working.
enum TritonMetrics {
    private struct Family {
        let name: String
        let help: String
        let value: @Sendable (ModelStatistics) -> UInt64
    }

    private static let families: [Family] = [
        Family(
            name: "nv_inference_request_success",
            help: "Number of successful inference requests, all batch sizes"
        ) { $0.success.count },
        Family(
            name: "nv_inference_request_failure",
            help: "Number of failed inference requests, all batch sizes"
        ) { $0.fail.count },
        Family(
            name: "nv_inference_count",
            help: "Number of inferences performed (does not include cached requests)"
        ) { $0.inferenceCount },
        Family(
            name: "nv_inference_exec_count",
            help: "Number of model executions performed (does not include cached requests)"
        ) { $0.executionCount },
        Family(
            name: "nv_inference_request_duration_us",
            help: "Cumulative inference request duration in microseconds"
        ) { $0.success.nanoseconds / 1_000 },
        Family(
            name: "nv_inference_queue_duration_us",
            help: "Cumulative inference queuing duration in microseconds"
        ) { $0.queue.nanoseconds / 1_000 },
        Family(
            name: "nv_inference_compute_input_duration_us",
            help: "Cumulative compute input duration in microseconds"
        ) { $0.computeInput.nanoseconds / 1_000 },
        Family(
            name: "nv_inference_compute_infer_duration_us",
            help: "Cumulative compute inference duration in microseconds"
        ) { $0.computeInfer.nanoseconds / 1_000 },
        Family(
            name: "nv_inference_compute_output_duration_us",
            help: "Cumulative inference compute output duration in microseconds"
        ) { $0.computeOutput.nanoseconds / 1_000 },
    ]

    static func write(_ statistics: [ModelStatistics], into text: inout String) {
        for family in families {
            text += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) counter\n"
            for model in statistics {
                let labels =
                    "model=\"\(PrometheusText.escaped(model.name))\","
                    + "version=\"\(PrometheusText.escaped(model.version))\""
                text += "\(family.name){\(labels)} \(family.value(model))\n"
            }
        }
    }
}
