// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletLanguage
internal import Metrics
internal import Synchronization

/// A language model's meters, under the names that vLLM and OpenTelemetry's conventions for
/// generative models gave them, so that dashboards and endpoint pickers made for those work.
final class GenerationMetrics: Sendable {
    private let running: Gauge
    private let waiting: Gauge
    private let cacheUsage: Gauge
    private let promptTokens: Counter
    private let generatedTokens: Counter
    private let prefixQueries: Counter
    private let prefixHits: Counter
    private let preemptions: Counter
    private let succeeded: [FinishReason: Counter]
    private let refused: Counter
    private let firstToken: Metrics.Timer
    private let interToken: Metrics.Timer
    private let request: Metrics.Timer
    private let queue: Metrics.Timer
    private let prefill: Metrics.Timer
    private let decode: Metrics.Timer
    private let promptSize: Recorder
    private let answerSize: Recorder
    private let genFirstToken: Metrics.Timer
    private let genPerToken: Metrics.Timer
    private let genRequest: Metrics.Timer
    private let iterationTokens: Recorder
    private let drafts: Counter
    private let draftedTokens: Counter
    private let acceptedTokens: Counter
    private let labels: [(String, String)]
    private let adaptersMax: Int

    private struct Counted {
        /// What of the totals has been counted.
        var load = GenerationLoad()
        /// Says which adapters are in use; nil where there are none.
        var adapters: Gauge?
    }
    private let counted = Mutex(Counted())

    /// - Parameter adaptersMax: adapters that may be loaded at a time; 0 where there are none.
    init(model: String, version: String, shape: DecoderShape, adaptersMax: Int) {
        let labels = [("model_name", model), ("engine", version)]
        self.labels = labels
        self.adaptersMax = adaptersMax
        let cache = [
            ("block_size", String(shape.blockLength)), ("num_gpu_blocks", String(shape.blockCount)),
        ]
        Gauge(label: "vllm:cache_config_info", dimensions: labels + cache).record(1)
        func vllm(_ name: String, _ extra: [(String, String)] = []) -> Counter {
            Counter(label: "vllm:\(name)", dimensions: labels + extra)
        }
        func timer(_ name: String) -> Metrics.Timer {
            Metrics.Timer(label: "vllm:\(name)_seconds", dimensions: labels)
        }
        func gauge(_ name: String) -> Gauge { Gauge(label: "vllm:\(name)", dimensions: labels) }
        running = gauge("num_requests_running")
        waiting = gauge("num_requests_waiting")
        cacheUsage = gauge("kv_cache_usage_perc")
        promptTokens = vllm("prompt_tokens_total")
        generatedTokens = vllm("generation_tokens_total")
        prefixQueries = vllm("prefix_cache_queries_total")
        prefixHits = vllm("prefix_cache_hits_total")
        preemptions = vllm("num_preemptions_total")
        let reasons: [(FinishReason, String)] = [
            (.stop, "stop"), (.length, "length"), (.cancelled, "abort"), (.deadline, "deadline"),
        ]
        succeeded = Dictionary(
            uniqueKeysWithValues: reasons.map {
                ($0.0, vllm("request_success_total", [("finished_reason", $0.1)]))
            })
        refused = Counter(
            label: "martlet_requests_total",
            dimensions: [("model", model), ("version", version), ("outcome", "failure")])
        firstToken = timer("time_to_first_token")
        interToken = timer("inter_token_latency")
        request = timer("e2e_request_latency")
        queue = timer("request_queue_time")
        prefill = timer("request_prefill_time")
        decode = timer("request_decode_time")
        promptSize = Recorder(
            label: "vllm:request_prompt_tokens", dimensions: labels, aggregate: true)
        answerSize = Recorder(
            label: "vllm:request_generation_tokens", dimensions: labels, aggregate: true)
        iterationTokens = Recorder(
            label: "vllm:iteration_tokens_total", dimensions: labels, aggregate: true)
        drafts = vllm("spec_decode_num_drafts_total")
        draftedTokens = vllm("spec_decode_num_draft_tokens_total")
        acceptedTokens = vllm("spec_decode_num_accepted_tokens_total")
        let named = [("gen_ai_request_model", model), ("gen_ai_provider_name", "martlet")]
        func gen(_ name: String) -> Metrics.Timer {
            Metrics.Timer(label: "gen_ai_server_\(name)_seconds", dimensions: named)
        }
        genFirstToken = gen("time_to_first_token")
        genPerToken = gen("time_per_output_token")
        genRequest = gen("request_duration")
        if adaptersMax > 0 { counted.withLock { $0.adapters = adapterGauge(GenerationLoad()) } }
    }

    /// `vllm:lora_requests_info`: what is in use stands in its labels, and when that began is its
    /// value. One series at a time: the last is destroyed.
    private func adapterGauge(_ load: GenerationLoad) -> Gauge {
        let gauge = Gauge(
            label: "vllm:lora_requests_info",
            dimensions: labels + [
                ("max_lora", String(adaptersMax)),
                ("running_lora_adapters", load.runningAdapters.joined(separator: ",")),
                ("waiting_lora_adapters", load.waitingAdapters.joined(separator: ",")),
            ])
        gauge.record(Double(wallMilliseconds()) / 1000)
        return gauge
    }

    /// After each step.
    func stepped(_ load: GenerationLoad) {
        let counts = load.counts
        let before = counted.withLock { known -> SchedulerCounts in
            defer { known.load = load }
            if let old = known.adapters,
                known.load.runningAdapters != load.runningAdapters
                    || known.load.waitingAdapters != load.waitingAdapters
            {
                old.destroy()
                known.adapters = adapterGauge(load)
            }
            return known.load.counts
        }
        if counts.running != before.running { running.record(counts.running) }
        if counts.waiting != before.waiting { waiting.record(counts.waiting) }
        if counts.blocksUsed != before.blocksUsed {
            cacheUsage.record(Double(counts.blocksUsed) / Double(max(counts.blockCount, 1)))
        }
        func add(_ counter: Counter, _ path: KeyPath<SchedulerCounts, UInt64>) {
            let added = counts[keyPath: path] - before[keyPath: path]
            if added > 0 { counter.increment(by: Int(added)) }
        }
        add(promptTokens, \.promptTokens)
        add(generatedTokens, \.generatedTokens)
        add(prefixQueries, \.prefixQueries)
        add(prefixHits, \.prefixHits)
        add(preemptions, \.preemptions)
        add(drafts, \.drafts)
        add(draftedTokens, \.draftedTokens)
        add(acceptedTokens, \.acceptedTokens)
        let tokens =
            counts.promptTokens - before.promptTokens + counts.generatedTokens
            - before.generatedTokens
        if tokens > 0 { iterationTokens.record(Int64(tokens)) }
    }

    func firstToken(nanoseconds: Int64) {
        firstToken.recordNanoseconds(nanoseconds)
        genFirstToken.recordNanoseconds(nanoseconds)
    }

    func token(nanoseconds: Int64) {
        interToken.recordNanoseconds(nanoseconds)
        genPerToken.recordNanoseconds(nanoseconds)
    }

    func ended(
        _ usage: GenerationUsage, _ reason: FinishReason?, samples: Int,
        arrived: MonotonicInstant, now: MonotonicInstant
    ) {
        succeeded[reason ?? .stop]?.increment()
        request.recordNanoseconds(arrived.nanoseconds(to: now))
        genRequest.recordNanoseconds(arrived.nanoseconds(to: now))
        promptSize.record(usage.promptTokens)
        answerSize.record(usage.completionTokens)
        guard let started = usage.started else { return }
        queue.recordNanoseconds(usage.arrived.nanoseconds(to: started))
        guard let first = usage.firstToken else { return }
        prefill.recordNanoseconds(started.nanoseconds(to: first))
        decode.recordNanoseconds(first.nanoseconds(to: usage.ended))
    }

    func failed(_ error: ServingError) { refused.increment() }
}

extension StatisticsRecorder {
    /// A generation that ended, in the protocol's terms.
    func generated(_ usage: GenerationUsage, arrived: MonotonicInstant, now: MonotonicInstant) {
        count { statistics in
            statistics.success.add(arrived.nanoseconds(to: now))
            if let started = usage.started {
                statistics.queue.add(usage.arrived.nanoseconds(to: started))
                statistics.computeInfer.add(started.nanoseconds(to: usage.ended))
            }
            statistics.inferenceCount &+= 1
            statistics.executionCount &+= 1
            statistics.lastInferenceMilliseconds = wallMilliseconds()
        }
    }

    func generationFailed(nanoseconds: Int64) { count { $0.fail.add(nanoseconds) } }
}
