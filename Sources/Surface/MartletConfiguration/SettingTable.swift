// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Every setting of `martlet serve`, in the order that `martlet config` shows them.
extension Setting {
    public static let all: [Setting] = [
        Setting(
            "server.host", .text, default: .text("127.0.0.1"),
            "address to listen on; 0.0.0.0 for every interface"),
        Setting(
            "server.http_port", .number(-1...65_535), default: .number(8_000),
            "HTTP port; 0 picks a free one, -1 turns HTTP off"),
        Setting(
            "server.grpc_port", .number(-1...65_535), default: .number(8_001),
            "gRPC port; 0 picks a free one, -1 turns gRPC off"),
        Setting(
            "server.metrics_port", .number(-1...65_535), default: .number(8_002),
            "port for Prometheus metrics; they are on the HTTP port's /metrics too"),
        Setting(
            "server.threads", .number(1...256), default: .number(2),
            "event loop threads for connections"),
        Setting(
            "server.connections_max", .number(1...1_000_000), default: .number(10_000),
            "open connections per door; more are refused"),
        Setting(
            "server.body_bytes_max", .number(1...(1 << 40)), default: .number(64 << 20),
            "largest request body, after decompression"),
        Setting(
            "server.bodies_bytes_max", .number(1...(1 << 50)), default: .number(1 << 30),
            "request bodies that a door holds at a time; more are told to come back"),
        Setting(
            "server.idle_seconds", .number(1...86_400), default: .number(75),
            "how long a connection may stay silent between requests"),
        Setting(
            "server.request_seconds", .number(1...86_400), default: .number(60),
            "how long a client may take to send a whole request"),
        Setting(
            "server.drain_seconds", .number(0...86_400), default: .number(30),
            "how long requests in flight may take to end after SIGTERM"),
        Setting(
            "server.tls_certificate", .text, default: .text(""),
            "PEM file with the certificate chain; turns TLS on"),
        Setting("server.tls_key", .text, default: .text(""), "PEM file with the private key"),
        Setting(
            "models.control_mode", .choice(["none", "poll", "explicit"]), default: .text("none"),
            "none: load all at start; poll: watch the folder; explicit: load by API"),
        Setting(
            "models.load", .list, default: .list([]),
            "explicit mode: models to load at start; '*' for all"),
        Setting(
            "models.served_names", .list, default: .list([]),
            "what the one model of the command line is called: its name, and further ones"),
        Setting(
            "models.poll_seconds", .number(1...86_400), default: .number(15),
            "poll mode: how often to look when the file system reports nothing"),
        Setting(
            "models.load_threads", .number(1...64), default: .number(2),
            "models that load at the same time"),
        Setting(
            "models.strict_readiness", .flag, default: .flag(true),
            "not ready until every model is"),
        Setting(
            "models.allow_shared_memory", .flag, default: .flag(false),
            "let clients on this machine hand over tensors in shared memory"),
        Setting(
            "engine.name", .choice(["native", "onnxruntime", "auto"]), default: .text("native"),
            "what runs models; auto: native, and ONNX Runtime for what that does not support"),
        Setting(
            "engine.threads", .number(0...1_024), default: .number(0),
            "threads for kernels; 0 is one per processor"),
        Setting(
            "engine.precision", .choice(["f32", "bf16", "int8", "auto"]), default: .text("f32"),
            "how products with weights are computed; auto: for each what keeps answers near f32's"),
        Setting(
            "engine.memory_mib_max", .number(1...(1 << 30)), default: .number(16 << 10),
            "most memory a model may take, in MiB"),
        Setting(
            "language.max_model_len", .number(0...(1 << 24)), default: .number(0),
            "most tokens of a prompt and its answer; 0: as the model says, at most 32768"),
        Setting(
            "language.max_num_seqs", .number(1...4_096), default: .number(64),
            "answers of a decoder that are made at once; further requests wait"),
        Setting(
            "language.draft_model", .text, default: .text(""),
            "a smaller decoder of the same tokens that guesses for the decoders served"),
        Setting(
            "language.adapters", .list, default: .list([]),
            "low-rank adapters to load at start, as NAME=FOLDER"),
        Setting(
            "language.adapters_max", .number(0...1_024), default: .number(0),
            "adapters that may be loaded at a time; 0: as many as are loaded at start"),
        Setting(
            "language.kv_cache_dtype", .choice(["f16", "bf16", "int8", "f32"]),
            default: .text("f16"),
            "what decoders keep keys and values as; int8: about half the memory of f16"),
        Setting(
            "language.kv_cache_mib", .number(1...(1 << 30)), default: .number(1 << 10),
            "most memory for a decoder's keys and values, in MiB"),
        Setting(
            "language.allow_adapter_updates", .flag, default: .flag(false),
            "let clients load and unload adapters from this machine's folders"),
        Setting(
            "engine.plan_cache", .text, default: .text("off"),
            "keep compiled models: off, on (in ~/.cache/martlet/plans), or a folder"),
        Setting(
            "engine.plan_cache_mib_max", .number(1...(1 << 30)), default: .number(8 << 10),
            "most that the plan cache may hold, in MiB; what was used least recently goes first"),
        Setting(
            "log.style", .choice(["pretty", "json"]), default: .text("pretty"),
            "readable lines or one JSON object per line"),
        Setting(
            "log.level", .choice(["trace", "debug", "info", "notice", "warning", "error"]),
            default: .text("info"), "least severe level that is written"),
        Setting(
            "log.file", .text, default: .text(""), "file to append to; empty is standard error"),
        Setting(
            "log.requests", .flag, default: .flag(false), "one line per HTTP request"),
        Setting(
            "metrics.names", .choice(["martlet", "triton"]), default: .text("martlet"),
            "triton: also Triton's metric names, for dashboards that exist"),
    ]
}
