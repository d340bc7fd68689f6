// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway

/// The gateway's numbers as Prometheus reads them.
enum MetricsText {
    static func write(
        _ snapshot: MetricsSnapshot, connections: Int, runtime: GatewayRuntime,
        into text: inout String
    ) {
        for (name, count) in zip(MetricsSnapshot.names, snapshot.counts) {
            text += "# TYPE martlet_gateway_\(name)_total counter\n"
            text += "martlet_gateway_\(name)_total \(count)\n"
        }
        text += "# TYPE martlet_gateway_connections gauge\n"
        text += "martlet_gateway_connections \(connections)\n"
        let versions = snapshot.versions.sorted {
            ($0.key.model, $0.key.version) < ($1.key.model, $1.key.version)
        }
        text += "# TYPE martlet_gateway_requests_total counter\n"
        for (label, values) in versions {
            for (status, count) in values.statuses {
                text +=
                    "martlet_gateway_requests_total{\(labels(label)),status=\"\(status)\"} \(count)\n"
            }
        }
        text += "# TYPE martlet_gateway_tokens_total counter\n"
        for (label, values) in versions {
            text +=
                "martlet_gateway_tokens_total{\(labels(label)),kind=\"input\"} "
                + "\(values.inputTokens)\n"
                + "martlet_gateway_tokens_total{\(labels(label)),kind=\"output\"} "
                + "\(values.outputTokens)\n"
        }
        histogram("request_duration_seconds", versions.map { ($0.key, $0.value.durations) }, &text)
        histogram("first_byte_seconds", versions.map { ($0.key, $0.value.firstBytes) }, &text)
        writePools(runtime.pools, &text)
        writeCaches(runtime, &text)
    }

    private static func histogram(
        _ name: String, _ series: [(LoopMetrics.VersionLabel, DurationHistogram)],
        _ text: inout String
    ) {
        text += "# TYPE martlet_gateway_\(name) histogram\n"
        for (label, values) in series {
            var sum = 0
            for index in 0..<DurationHistogram.boundCount {
                sum += values.buckets[index]
                text +=
                    "martlet_gateway_\(name)_bucket{\(labels(label)),"
                    + "le=\"\(DurationHistogram.bound(index))\"} \(sum)\n"
            }
            text +=
                "martlet_gateway_\(name)_bucket{\(labels(label)),le=\"+Inf\"} \(values.count)\n"
                + "martlet_gateway_\(name)_sum{\(labels(label))} "
                + "\(Double(values.nanoseconds) / 1e9)\n"
                + "martlet_gateway_\(name)_count{\(labels(label))} \(values.count)\n"
        }
    }

    private static func writeCaches(_ runtime: GatewayRuntime, _ text: inout String) {
        text += "# TYPE martlet_gateway_cache_entries gauge\n"
        text += "# TYPE martlet_gateway_cache_bytes gauge\n"
        for (model, cache) in zip(runtime.snapshot.tables.models, runtime.caches) {
            guard let size = cache?.size else { continue }
            let labels = "model=\"\(escaped(model.name))\""
            text += "martlet_gateway_cache_entries{\(labels)} \(size.count)\n"
            text += "martlet_gateway_cache_bytes{\(labels)} \(size.bytes)\n"
        }
    }

    private static func writePools(_ pools: [PoolRuntime], _ text: inout String) {
        text += "# TYPE martlet_gateway_upstream_in_flight gauge\n"
        text += "# TYPE martlet_gateway_upstream_up gauge\n"
        text += "# TYPE martlet_gateway_pool_waiting gauge\n"
        text += "# TYPE martlet_gateway_pool_places gauge\n"
        for pool in pools {
            let crowd = pool.crowd
            let label = "pool=\"\(escaped(pool.name))\""
            text += "martlet_gateway_pool_waiting{\(label)} \(crowd.waiting)\n"
            text += "martlet_gateway_pool_places{\(label)} \(crowd.places)\n"
        }
        for pool in pools {
            for (identity, member) in zip(pool.members, pool.report(at: SystemTime().now())) {
                let labels =
                    "pool=\"\(escaped(pool.name))\",upstream=\"\(escaped(identity.name))\""
                let isUp =
                    member.isWell && !member.isDraining && !member.isEjected
                    && member.breaker != "open" && member.rests == .zero
                text += "martlet_gateway_upstream_in_flight{\(labels)} \(member.inFlight)\n"
                text += "martlet_gateway_upstream_up{\(labels)} \(isUp ? 1 : 0)\n"
            }
        }
    }

    static func labels(_ label: LoopMetrics.VersionLabel) -> String {
        "model=\"\(escaped(label.model))\",version=\"\(escaped(label.version))\""
    }

    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result
    }
}
