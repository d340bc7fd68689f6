// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway

/// Numbers of versions that serve side by side, as Prometheus reads them.
enum VariantMetricsText {
    static func write(
        _ exposures: [LoopMetrics.Exposure: Int], _ variants: Variants, into text: inout String
    ) {
        text += "# TYPE martlet_gateway_exposures_total counter\n"
        let sorted = exposures.sorted {
            ($0.key.experiment, $0.key.version) < ($1.key.experiment, $1.key.version)
        }
        for (exposure, count) in sorted {
            text +=
                "martlet_gateway_exposures_total{"
                + "experiment=\"\(MetricsText.escaped(exposure.experiment))\","
                + "version=\"\(MetricsText.escaped(exposure.version))\"} \(count)\n"
        }
        text += "# TYPE martlet_gateway_delivery_share gauge\n"
        for arm in variants.deliveries.shares {
            text +=
                "martlet_gateway_delivery_share{model=\"\(MetricsText.escaped(arm.model))\","
                + "version=\"\(MetricsText.escaped(arm.version))\"} "
                + "\(Double(arm.share) / Double(StableHash.parts))\n"
        }
        let totals = (variants.feedback?.totals ?? [:]).sorted {
            ($0.key.model, $0.key.version) < ($1.key.model, $1.key.version)
        }
        text += "# TYPE martlet_gateway_feedback_total counter\n"
        for (label, total) in totals {
            for (verdict, count) in [("good", total.good), ("bad", total.bad)] {
                text +=
                    "martlet_gateway_feedback_total{\(MetricsText.labels(label)),"
                    + "verdict=\"\(verdict)\"} \(count)\n"
            }
        }
        text += "# TYPE martlet_gateway_feedback_score_sum counter\n"
        for (label, total) in totals {
            text +=
                "martlet_gateway_feedback_score_sum{\(MetricsText.labels(label))} \(total.score)\n"
        }
        if let log = variants.exposures {
            text += "# TYPE martlet_gateway_exposures_dropped_total counter\n"
            text += "martlet_gateway_exposures_dropped_total \(log.dropped)\n"
        }
    }

    /// Semantic caches, by model.
    static func write(_ caches: [String: SemanticCaches.Counts], into text: inout String) {
        let sorted = caches.sorted { $0.key < $1.key }
        let series: [(String, String, (SemanticCaches.Counts) -> Int)] = [
            ("hits_total", "counter", { $0.hits }), ("misses_total", "counter", { $0.misses }),
            ("failures_total", "counter", { $0.failures }), ("entries", "gauge", { $0.entries }),
            ("bytes", "gauge", { $0.bytes }),
        ]
        for (name, kind, value) in series where !sorted.isEmpty {
            text += "# TYPE martlet_gateway_semantic_\(name) \(kind)\n"
            for (model, counts) in sorted {
                text +=
                    "martlet_gateway_semantic_\(name){model=\"\(MetricsText.escaped(model))\"} "
                    + "\(value(counts))\n"
            }
        }
    }
}
