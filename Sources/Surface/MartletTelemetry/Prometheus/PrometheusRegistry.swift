// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Metrics
public import CoreMetrics
internal import Synchronization

/// A metrics back end that keeps counters, gauges and histograms and writes them as Prometheus
/// text (exposition format 0.0.4).
///
/// Timers are histograms in seconds, aggregated recorders histograms in their own unit. The number
/// of series is bounded: what comes after the bound is counted in
/// `martlet_metrics_dropped_series_total` and otherwise ignored.
public final class PrometheusRegistry: MetricsFactory, Sendable {
    private struct State {
        var families: [String: MetricFamily] = [:]
        var seriesCount = 0
        var droppedSeries: Int64 = 0
    }

    private let seriesCountMax: Int
    private let state = Mutex(State())

    public init(seriesCountMax: Int = 20_000) {
        self.seriesCountMax = seriesCountMax
    }

    // MARK: MetricsFactory

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions, kind: .counter, suffix: "_total") { CounterSeries() }
    }

    public func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(label, dimensions, kind: .counter, suffix: "_total") { FloatingPointCounterSeries() }
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions, kind: .gauge, suffix: "") { GaugeSeries() }
    }

    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        guard aggregate else {
            return series(label, dimensions, kind: .gauge, suffix: "") { GaugeSeries() }
        }
        return series(label, dimensions, kind: .histogram, suffix: "") {
            HistogramSeries(bounds: HistogramSeries.countBounds, scale: 1)
        }
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, dimensions, kind: .histogram, suffix: "_seconds") {
            HistogramSeries(bounds: HistogramSeries.secondsBounds, scale: 1e-9)
        }
    }

    public func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
    public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {
        remove(handler)
    }
    public func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
    public func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
    public func destroyTimer(_ handler: any TimerHandler) { remove(handler) }

    // MARK: Series

    private func series<Series: MetricSeries>(
        _ label: String, _ dimensions: [(String, String)], kind: MetricFamily.Kind, suffix: String,
        make: () -> Series
    ) -> Series {
        let name = PrometheusText.metricName(label, suffix: suffix)
        let labels = PrometheusText.labels(dimensions)
        return state.withLock { state in
            if let known = state.families[name]?.series[labels] as? Series { return known }
            let new = make()
            let isOtherKind = state.families[name].map { $0.kind != kind } ?? false
            guard state.seriesCount < seriesCountMax, !isOtherKind else {
                state.droppedSeries += 1
                return new
            }
            if state.families[name]?.series[labels] == nil { state.seriesCount += 1 }
            state.families[name, default: MetricFamily(kind: kind)].series[labels] = new
            return new
        }
    }

    private func remove(_ handler: AnyObject) {
        state.withLock { state in
            for (name, family) in state.families {
                guard let entry = family.series.first(where: { $0.value === handler }) else {
                    continue
                }
                state.families[name]?.series[entry.key] = nil
                state.seriesCount -= 1
                if state.families[name]?.series.isEmpty ?? false { state.families[name] = nil }
                return
            }
        }
    }

    // MARK: Writing

    /// Appends every series as Prometheus text, families and series sorted by name.
    public func write(into text: inout String) {
        let (families, dropped) = state.withLock { ($0.families, $0.droppedSeries) }
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text += "# TYPE \(name) \(family.kind.rawValue)\n"
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                series.write(name: name, labels: labels, into: &text)
            }
        }
        if dropped > 0 {
            text += "# TYPE martlet_metrics_dropped_series_total counter\n"
            text += "martlet_metrics_dropped_series_total \(dropped)\n"
        }
    }
}

/// The series that share a metric's name.
struct MetricFamily {
    enum Kind: String { case counter, gauge, histogram }

    let kind: Kind
    var series: [String: any MetricSeries] = [:]
}

/// One metric with one set of labels.
protocol MetricSeries: AnyObject, Sendable {
    func write(name: String, labels: String, into text: inout String)
}
