// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import Testing

@Suite("LoadReport")
struct LoadReportTests {
    @Test("metrics of vLLM are read: waiting is added up, the fullest memory counts")
    func metrics() {
        let text = """
            # HELP vllm:num_requests_waiting waiting
            # TYPE vllm:num_requests_waiting gauge
            vllm:num_requests_waiting{model_name="a }",engine="0"} 3.0
            vllm:num_requests_waiting{model_name="b"} 4 1700000000
            vllm:num_requests_running{model_name="b"} 9
            vllm:kv_cache_usage_perc{model_name="a"} 0.25
            vllm:kv_cache_usage_perc{model_name="b"} 0.5
            process_open_fds 12
            """
        #expect(LoadReport(metrics: Array(text.utf8)) == LoadReport(queued: 7, memoryUse: 0.5))
    }

    @Test("what is no report is none")
    func none() {
        for text in ["", "a 1", "vllm:num_requests_waiting", "vllm:num_requests_waiting NaN", "#"] {
            #expect(LoadReport(metrics: Array(text.utf8)) == nil)
        }
        #expect(LoadReport(metrics: Array("tgi_queue_size 1e300".utf8))?.queued == 1_000_000_000)
        #expect(LoadReport(header: Array("cpu=1".utf8)) == nil)
    }

    @Test("a header is read")
    func header() {
        let text = "TEXT named_metrics.kv_cache_usage_perc=0.75, queue_depth=2"
        #expect(LoadReport(header: Array(text.utf8)) == LoadReport(queued: 2, memoryUse: 0.75))
    }

    @Test("a prompt begins where it is named")
    func prompts() {
        let body = #"{"model":"m","user":"u1","messages":[{"role":"system"}]}"#
        let start = PromptPlace.start(Array(body.utf8))
        #expect(body.utf8.dropFirst(start).starts(with: "\"messages\"".utf8))
        #expect(PromptPlace.start(Array("plain".utf8)) == 0)
    }
}
