// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import MartletConfiguration
internal import MartletEngine

/// `martlet serve PATH…`: loads models and answers HTTP and gRPC until told to stop.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Load models and serve them over HTTP and gRPC.",
        discussion: """
            PATH is an ONNX file, a GGUF file, a Hugging Face folder (an encoder or a language \
            model), or a model repository in Triton's layout. Several may be given.

              martlet serve model.onnx
              martlet serve all-MiniLM-L6-v2 Examples/models/digits
              martlet serve qwen.gguf --max-model-len 8192 --served-model-name qwen
              martlet serve repository --model-control-mode poll

            Then, on port 8000:  /v2/models (Open Inference Protocol), /v1/embeddings, \
            /v1/chat/completions and /v1/responses (OpenAI), /v1/messages (Anthropic), \
            /metrics (Prometheus).  On port 8001: gRPC.

            Every flag is also a key of martlet.yaml and an environment variable: see \
            `martlet config`.
            """)

    @Argument(help: "Models and model repositories to serve.")
    var paths: [String] = []

    @Option(help: "The configuration file (martlet.yaml in this folder, when there is one).")
    var config: String?

    @Option(help: "A gateway.yaml: runs the gateway before the models, which it calls `local`.")
    var gateway: String?

    @Option(help: "Address to listen on (127.0.0.1; 0.0.0.0 for every interface).")
    var host: String?

    @Option(
        name: .customLong("http-port"), parsing: .unconditional,
        help: "HTTP port (8000); 0 any free, -1 off.")
    var httpPort: Int?

    @Option(
        name: .customLong("grpc-port"), parsing: .unconditional,
        help: "gRPC port (8001); 0 any free, -1 off.")
    var grpcPort: Int?

    @Option(
        name: .customLong("metrics-port"), parsing: .unconditional,
        help: "Metrics port (8002); 0 any free, -1 off. HTTP's /metrics stays.")
    var metricsPort: Int?

    @Option(help: "Threads for kernels (one per processor).")
    var threads: Int?

    @Option(
        help: "f32 (default), bf16 or int8: how products with weights are computed.",
        transform: EnginePrecision.init(option:))
    var precision: EnginePrecision?

    @Option(
        help: "native (default), onnxruntime, or auto: native where it can.",
        transform: EngineChoice.init(option:))
    var engine: EngineChoice?

    @Option(help: "Keep compiled models: off (default), on, or a folder.")
    var planCache: String?

    @Option(help: "The most tokens of a prompt and its answer (as the model says, at most 32768).")
    var maxModelLen: Int?

    @Option(help: "Answers of a decoder that are made at once (64); further requests wait.")
    var maxNumSeqs: Int?

    @Option(
        name: .customLong("served-model-name"), parsing: .upToNextOption,
        help: "What the one model of PATH is called: its name, and further ones.")
    var servedNames: [String] = []

    @Option(help: "A smaller decoder of the same tokens that guesses for the others.")
    var draftModel: String?

    @Option(help: "f16 (default), bf16, int8 or f32: what decoders keep keys and values as.")
    var kvCacheDtype: String?

    @Option(help: "The most memory for a decoder's keys and values (1024), in MiB.")
    var kvCacheMib: Int?

    @Option(
        name: .customLong("lora-modules"), parsing: .upToNextOption,
        help: "Low-rank adapters to load, as NAME=FOLDER.")
    var adapters: [String] = []

    @Option(help: "Adapters that may be loaded at a time.")
    var maxLoras: Int?

    @Flag(help: "Let clients load and unload adapters from this machine's folders.")
    var allowAdapterUpdates = false

    @Option(help: "none: all at start; poll: watch the folders; explicit: load by API.")
    var modelControlMode: String?

    @Option(
        name: .customLong("load-model"), help: "Explicit mode: load this at start; '*' for all.")
    var loadModels: [String] = []

    @Flag(inversion: .prefixedNo, help: "Not ready until every model is (default).")
    var strictReadiness: Bool?

    @Flag(help: "Let local clients hand over tensors in shared memory.")
    var allowSharedMemory = false

    @Option(help: "PEM certificate chain; turns TLS on.")
    var tlsCertificate: String?

    @Option(help: "PEM private key.")
    var tlsKey: String?

    @Option(help: "pretty or json.")
    var logStyle: String?

    @Option(help: "trace, debug, info, notice, warning or error.")
    var logLevel: String?

    @Option(help: "martlet, or triton for Triton's metric names as well.")
    var metricsNames: String?

    func run() async throws {
        var settings = try SettingsLoader.load(file: config)
        try apply(to: &settings)
        let rules = try gateway.map { try GatewayRules(file: $0) }
        try await Server(settings: settings, paths: paths, gateway: rules).run()
    }

    /// Flags win over every other source.
    private func apply(to settings: inout Settings) throws {
        let flags: [(key: String, value: String?)] = [
            ("server.host", host), ("server.http_port", httpPort.map(String.init)),
            ("server.grpc_port", grpcPort.map(String.init)),
            ("server.metrics_port", metricsPort.map(String.init)),
            ("server.tls_certificate", tlsCertificate), ("server.tls_key", tlsKey),
            ("engine.name", engine?.rawValue), ("engine.threads", threads.map(String.init)),
            ("engine.precision", precision?.rawValue), ("engine.plan_cache", planCache),
            ("models.served_names", servedNames.isEmpty ? nil : servedNames.joined(separator: ",")),
            ("language.max_model_len", maxModelLen.map(String.init)),
            ("language.max_num_seqs", maxNumSeqs.map(String.init)),
            ("language.draft_model", draftModel),
            ("language.adapters", adapters.isEmpty ? nil : adapters.joined(separator: ",")),
            ("language.kv_cache_dtype", kvCacheDtype),
            ("language.kv_cache_mib", kvCacheMib.map(String.init)),
            ("language.adapters_max", maxLoras.map(String.init)),
            ("language.allow_adapter_updates", allowAdapterUpdates ? "true" : nil),
            ("models.control_mode", modelControlMode),
            ("models.load", loadModels.isEmpty ? nil : loadModels.joined(separator: ",")),
            ("models.strict_readiness", strictReadiness.map { String($0) }),
            ("models.allow_shared_memory", allowSharedMemory ? "true" : nil),
            ("log.style", logStyle), ("log.level", logLevel), ("metrics.names", metricsNames),
        ]
        for case (let key, let value?) in flags { try settings.apply(flag: key, value) }
    }
}
