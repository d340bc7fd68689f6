// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CoreMetrics
internal import MartletTelemetry
internal import Testing

@Suite("Prometheus registry")
struct PrometheusRegistryTests {
    private func text(_ registry: PrometheusRegistry) -> [Substring] {
        var text = ""
        registry.write(into: &text)
        return text.split(separator: "\n")
    }

    @Test("counters with one name share a family and keep their labels apart")
    func counters() {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "martlet_requests", dimensions: [("model", "a")])
            .increment(by: 2)
        registry.makeCounter(label: "martlet_requests", dimensions: [("model", "b")])
            .increment(by: 3)
        registry.makeCounter(label: "martlet_requests", dimensions: [("model", "a")])
            .increment(by: 5)
        #expect(
            text(registry) == [
                "# TYPE martlet_requests_total counter",
                "martlet_requests_total{model=\"a\"} 7", "martlet_requests_total{model=\"b\"} 3",
            ])
    }

    @Test("a timer is a cumulative histogram in seconds")
    func timer() {
        let registry = PrometheusRegistry()
        let timer = registry.makeTimer(label: "wait", dimensions: [])
        timer.recordNanoseconds(1_000_000)
        timer.recordNanoseconds(2_000_000_000)
        let lines = text(registry)
        #expect(lines.first == "# TYPE wait_seconds histogram")
        #expect(lines.contains("wait_seconds_bucket{le=\"0.001\"} 1"))
        #expect(lines.contains("wait_seconds_bucket{le=\"2.5\"} 2"))
        #expect(lines.contains("wait_seconds_bucket{le=\"+Inf\"} 2"))
        #expect(lines.contains("wait_seconds_count 2"))
        #expect(lines.contains("wait_seconds_sum 2.001"))
    }

    @Test("label values are escaped and names made legal")
    func escaping() {
        let registry = PrometheusRegistry()
        registry.makeCounter(label: "a.b-c", dimensions: [("x y", "q\"\\\n")]).increment(by: 1)
        #expect(text(registry).last == "a_b_c_total{x_y=\"q\\\"\\\\\\n\"} 1")
    }

    @Test("series beyond the bound are dropped and counted")
    func bound() {
        let registry = PrometheusRegistry(seriesCountMax: 10)
        for index in 0..<25 {
            registry.makeCounter(label: "c", dimensions: [("i", "\(index)")]).increment(by: 1)
        }
        let lines = text(registry)
        #expect(lines.filter { $0.hasPrefix("c_total") }.count == 10)
        #expect(lines.last == "martlet_metrics_dropped_series_total 15")
    }

    @Test("a destroyed series is gone and makes room")
    func destroy() {
        let registry = PrometheusRegistry(seriesCountMax: 1)
        let counter = registry.makeCounter(label: "c", dimensions: [])
        registry.destroyCounter(counter)
        #expect(text(registry).isEmpty)
        registry.makeCounter(label: "d", dimensions: []).increment(by: 1)
        #expect(text(registry).last == "d_total 1")
    }
}
