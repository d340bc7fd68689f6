// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import Testing

@Suite("Upstream paths")
struct UpstreamPathTests {
    @Test(
        "questions to models are passed on",
        arguments: [
            "/v1/chat/completions", "/v1/embeddings", "/v1/messages", "/v1/messages/count_tokens",
            "/v1/audio/transcriptions", "/v1/rerank", "/tokenize", "/v2/models/m/infer",
            "/v2/models/m/versions/3/infer", "/v2/models/m", "/v2/models/m/versions/1",
            "/v2/models/m/generate_stream", "/v2/models/m/ready", "/v2/models/a%20b/infer",
            "/inference.GRPCInferenceService/ModelInfer",
        ])
    func inference(path: String) {
        #expect(UpstreamPath.kind(path) == .inference)
    }

    @Test(
        "everything else is not",
        arguments: [
            "/", "/shutdown", "/v1/files", "/v1/load_lora_adapter", "/v1/models",
            "/v1/chat/completions/", "/v2/repository/models/m/unload", "/v2/models/",
            "/v2/models/m/unload", "/v2/models/m/versions", "/v2/models/m/infer/x",
            "/v2/models/m/trace/setting", "/v2/logging", "/metrics2", "/v1/fine_tuning/jobs",
            "/inference.GRPCInferenceService/RepositoryModelUnload",
            "/inference.GRPCInferenceService/SystemSharedMemoryRegister",
        ])
    func other(path: String) {
        #expect(UpstreamPath.kind(path) == .other)
    }

    @Test(
        "a path that could mean another is refused",
        arguments: [
            "/v2/models/m/../lone/infer", "/v2/models/m/./infer", "//shutdown", "/v1//files",
            "/v2/models/%2e%2e/infer", "/v2/models/m/%2E%2E/lone/infer", "/v1/%2fshutdown",
            "/v1/..", "/..", "/.", "/v1/%5c..", "/v1\\files", "/v1/%252e%252e/x", "/v1/x%00",
            "/v1/x%zz", "/v1/x%2", "/v1/..;/files",
        ])
    func ambiguous(path: String) {
        #expect(UpstreamPath.kind(path) == .ambiguous)
    }
}
