// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// What a member of a pool says of its load: in its metrics, or in a header of its answers.
package struct LoadReport: Sendable, Equatable {
    /// Requests waiting there.
    package var queued = 0
    /// The share of its key-value memory that is in use.
    package var memoryUse = 0.0
    /// Nil: nothing is said of adapters.
    package var adapters: AdapterReport?

    package init(queued: Int = 0, memoryUse: Double = 0, adapters: AdapterReport? = nil) {
        self.queued = queued
        self.memoryUse = memoryUse
        self.adapters = adapters
    }

    private enum Meaning { case queued, memoryUse }

    /// The names of vLLM (and Martlet, which has the same), SGLang, TGI and Triton.
    private static let names: [[UInt8]: Meaning] = {
        let queued = [
            "vllm:num_requests_waiting", "sglang:num_queue_reqs", "tgi_queue_size",
            "nv_inference_pending_request_count", "num_requests_waiting", "queue_depth",
        ]
        let use = [
            "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage",
            "kv_cache_usage_perc", "gpu_cache_usage_perc", "kv_cache_utilization",
        ]
        var names: [[UInt8]: Meaning] = [:]
        for name in queued { names[Array(name.utf8)] = .queued }
        for name in use { names[Array(name.utf8)] = .memoryUse }
        return names
    }()

    /// Reads Prometheus' text: requests of all models are added, of memory the fullest counts, of
    /// adapters what vLLM says.
    /// Nil when none of the names is there.
    package init?(metrics: [UInt8]) {
        self.init()
        var hasAny = false
        var adapters = AdapterMetrics()
        for line in metrics.split(separator: 0x0A) {
            guard let first = line.first, first != UInt8(ascii: "#"),
                let end = line.firstIndex(where: { $0 == UInt8(ascii: "{") || $0 == 0x20 })
            else { continue }
            let name = Array(line[..<end])
            let isOfAdapters = name == AdapterMetrics.name
            let meaning = LoadReport.names[name]
            guard meaning != nil || isOfAdapters else { continue }
            let rest: ArraySlice<UInt8>
            var labels: ArraySlice<UInt8> = []
            if line[end] == UInt8(ascii: "{") {
                guard let close = line.lastIndex(of: UInt8(ascii: "}")) else { continue }
                labels = line[(end + 1)..<close]
                rest = line[(close + 1)...]
            } else {
                rest = line[end...]
            }
            let number = rest.drop { $0 == 0x20 }.prefix { $0 != 0x20 && $0 != 0x0D }
            if isOfAdapters { adapters.add(labels, number) }
            if let meaning { hasAny = take(number, meaning) || hasAny }
        }
        self.adapters = adapters.report
        if !hasAny, self.adapters == nil { return nil }
    }

    /// Reads `endpoint-load-metrics` in its text form (Open Request Cost Aggregation):
    /// `named_metrics.kv_cache_usage_perc=0.5, named_metrics.num_requests_waiting=3`.
    package init?(header: [UInt8]) {
        self.init()
        var hasAny = false
        let prefixes = ["TEXT ", "named_metrics."].map { Array($0.utf8) }
        for pair in header.split(separator: UInt8(ascii: ",")) {
            var pair = pair.drop { $0 == 0x20 }
            for prefix in prefixes where pair.starts(with: prefix) {
                pair = pair.dropFirst(prefix.count)
            }
            guard let equals = pair.firstIndex(of: UInt8(ascii: "=")),
                let meaning = LoadReport.names[Array(pair[..<equals])]
            else { continue }
            let number = pair[(equals + 1)...].prefix { $0 != 0x20 }
            hasAny = take(number, meaning) || hasAny
        }
        if !hasAny { return nil }
    }

    private mutating func take(_ number: ArraySlice<UInt8>, _ meaning: Meaning) -> Bool {
        guard number.count <= 32,
            let value = Double(String(decoding: number, as: UTF8.self)), value.isFinite, value >= 0
        else { return false }
        switch meaning {
        case .queued: queued += Int(min(value, 1e9))
        case .memoryUse: memoryUse = max(memoryUse, min(value, 1))
        }
        return true
    }
}

/// Where a request's prompt begins in its body: what goes before it is the same for everybody or
/// different for everybody, and says nothing of what a cache holds.
package enum PromptPlace {
    private static let searchedBytes = 4 << 10
    private static let names = ["\"messages\"", "\"prompt\"", "\"text_input\"", "\"input\""]
        .map { Array($0.utf8) }

    package static func start(_ body: [UInt8]) -> Int {
        let end = min(body.count, searchedBytes)
        for place in 0..<end where body[place] == UInt8(ascii: "\"") {
            for name in names where body[place...].starts(with: name) { return place }
        }
        return 0
    }
}
