// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CoreMetrics
public import Logging

/// The one bootstrap call of a process: logging and metrics back ends.
///
/// Tracing stays without a back end until an exporter is configured; libraries then pay only for
/// one check.
public struct Telemetry: Sendable {
    public let registry: PrometheusRegistry
    public let threshold: LogThreshold

    /// Sets the process-wide logging and metrics systems. Call once, before anything logs.
    public static func bootstrap(
        style: StructuredLogHandler.Style, output: LogOutput, level: Logger.Level
    ) -> Telemetry {
        let threshold = LogThreshold(from: level)
        let registry = PrometheusRegistry()
        LoggingSystem.bootstrap(
            { label, provider in
                StructuredLogHandler(
                    label: label, style: style, output: output, threshold: threshold,
                    metadataProvider: provider)
            }, metadataProvider: nil)
        MetricsSystem.bootstrap(registry)
        return Telemetry(registry: registry, threshold: threshold)
    }
}
