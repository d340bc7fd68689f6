// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletResilience

/// What one event loop has counted. Plain numbers: nobody else touches them; a scrape visits each
/// loop.
final class LoopMetrics {
    var unauthorized = 0
    var limited = 0
    var refused = 0
    var retries = 0
    var fallbacks = 0
    var failedAttempts = 0
    var cutAnswers = 0
    var gone = 0
    var shadowsCompared = 0
    var shadowsDropped = 0
    var cascadesKept = 0
    var cascadesEscalated = 0
    /// Requests assigned to a version of an experiment.
    var exposures: [Exposure: Int] = [:]
    var cacheHits = 0
    var cacheMisses = 0
    var cacheJoined = 0
    var cacheStale = 0
    /// Requests that went by this replica's share, because the shared state was away or slow.
    var sharedStateMissed = 0
    /// Requests that waited for a place in their pool, and those that got none.
    var queued = 0
    var shed = 0
    private(set) var versions: [VersionLabel: VersionCounters] = [:]
    /// By number, in the runtime that is in force.
    @safe @exclusivity(unchecked) private var cache: [VersionCounters?] = []
    @safe @exclusivity(unchecked) private var cachedFor: UInt64?

    struct VersionLabel: Hashable, Sendable {
        var model: String
        var version: String
    }

    struct Exposure: Hashable, Sendable {
        var experiment: String
        var version: String
    }

    func versionsHaveChanged() { cachedFor = nil }

    func counters(_ version: Int, _ runtime: GatewayRuntime?) -> VersionCounters {
        guard let runtime, version >= 0 else {
            return named(VersionLabel(model: "none", version: "none"))
        }
        if cachedFor != runtime.serial {
            cachedFor = runtime.serial
            cache = Array(repeating: nil, count: runtime.snapshot.tables.versions.count)
        }
        if let known = cache[version] { return known }
        let tables = runtime.snapshot.tables
        let found = named(
            VersionLabel(
                model: tables.models[tables.versions[version].model].name,
                version: tables.versions[version].label))
        cache[version] = found
        return found
    }

    private func named(_ label: VersionLabel) -> VersionCounters {
        if let known = versions[label] { return known }
        let new = VersionCounters()
        versions[label] = new
        return new
    }

    func snapshot() -> MetricsSnapshot {
        var snapshot = MetricsSnapshot()
        snapshot.counts = [
            unauthorized, limited, refused, retries, fallbacks, failedAttempts, cutAnswers, gone,
            shadowsCompared, shadowsDropped, cascadesKept, cascadesEscalated,
            cacheHits, cacheMisses, cacheJoined, cacheStale, sharedStateMissed,
            queued, shed,
        ]
        snapshot.versions = versions.mapValues(\.values)
        snapshot.exposures = exposures
        return snapshot
    }
}

/// One version's numbers on one loop.
final class VersionCounters {
    @safe @exclusivity(unchecked) var values = VersionValues()
    func add(_ usage: TokenUsage) {
        values.inputTokens = values.inputTokens.addingSaturating(usage.input)
        values.outputTokens = values.outputTokens.addingSaturating(usage.output)
    }

    func record(status: Int, nanoseconds: Int64) {
        values.count(status: status)
        values.durations.record(nanoseconds)
    }

    func recordFirstByte(nanoseconds: Int64) { values.firstBytes.record(nanoseconds) }
}

struct VersionValues: Sendable {
    /// By status from 100; made with the first.
    private var counts: [Int] = []
    var durations = DurationHistogram()
    var firstBytes = DurationHistogram()
    var inputTokens = 0
    var outputTokens = 0

    mutating func count(status: Int) {
        if counts.isEmpty { counts = Array(repeating: 0, count: 500) }
        if (100..<600).contains(status) { counts[status - 100] += 1 }
    }

    /// How many answers had which status.
    var statuses: [(status: Int, count: Int)] {
        counts.indices.filter { counts[$0] > 0 }.map { ($0 + 100, counts[$0]) }
    }

    mutating func add(_ other: VersionValues) {
        if counts.isEmpty {
            counts = other.counts
        } else {
            for index in other.counts.indices { counts[index] += other.counts[index] }
        }
        durations.add(other.durations)
        firstBytes.add(other.firstBytes)
        inputTokens = inputTokens.addingSaturating(other.inputTokens)
        outputTokens = outputTokens.addingSaturating(other.outputTokens)
    }
}

/// Counts of durations by powers of two, from 64 µs to 134 s.
struct DurationHistogram: Sendable {
    static let boundCount = 22
    private(set) var buckets = InlineArray<23, Int>(repeating: 0)
    private(set) var nanoseconds: Int64 = 0
    private(set) var count = 0

    /// The upper bound of a bucket in seconds.
    static func bound(_ index: Int) -> Double { Double(UInt64(65_536) << UInt64(index)) / 1e9 }

    mutating func record(_ value: Int64) {
        let value = max(value, 0)
        let highest = 64 - UInt64(value).leadingZeroBitCount
        buckets[min(max(highest - 16, 0), DurationHistogram.boundCount)] += 1
        let (sum, overflow) = nanoseconds.addingReportingOverflow(value)
        nanoseconds = overflow ? .max : sum
        count += 1
    }

    mutating func add(_ other: DurationHistogram) {
        for index in 0..<23 { buckets[index] += other.buckets[index] }
        nanoseconds = nanoseconds.addingSaturating(other.nanoseconds)
        count += other.count
    }
}

/// All loops' numbers together.
struct MetricsSnapshot: Sendable {
    static let names = [
        "unauthorized", "limited", "malformed", "retries", "fallbacks", "failed_attempts",
        "cut_answers", "clients_gone", "shadows_compared", "shadows_dropped", "cascades_kept",
        "cascades_escalated", "cache_hits", "cache_misses", "cache_joined", "cache_stale",
        "shared_state_missed", "queued", "shed",
    ]
    var counts = Array(repeating: 0, count: MetricsSnapshot.names.count)
    var versions: [LoopMetrics.VersionLabel: VersionValues] = [:]
    var exposures: [LoopMetrics.Exposure: Int] = [:]

    mutating func add(_ other: MetricsSnapshot) {
        for index in counts.indices { counts[index] += other.counts[index] }
        exposures.merge(other.exposures) { $0 + $1 }
        for (label, values) in other.versions {
            versions[label, default: VersionValues()].add(values)
        }
    }
}
