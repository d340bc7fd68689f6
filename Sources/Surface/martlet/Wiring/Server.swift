// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Logging
internal import MartletBase
internal import MartletConfiguration
internal import MartletEngine
internal import MartletGateway
internal import MartletGRPC
internal import MartletHTTP
internal import MartletLanguage
internal import MartletONNXRuntime
internal import MartletProxy
internal import MartletServing
internal import MartletStorage
internal import MartletTelemetry
internal import MartletWire
internal import MartletYAML
internal import ServiceLifecycle
internal import UnixSignals

/// The process that `martlet serve` is: telemetry, models, doors, signals.
struct Server {
    let settings: Settings
    let paths: [String]
    /// The rules of a gateway before the models.
    var gateway: GatewayRules?

    /// Serves until SIGTERM or SIGINT, then drains.
    /// - Throws: what is wrong with the settings, that nothing could be loaded, or that a port is
    ///   taken.
    func run() async throws {
        let entries = try ModelEntryReader.read(settings.modelEntries)
        guard !paths.isEmpty || !entries.isEmpty else {
            throw ConfigurationError(
                .invalidValue, "nothing to serve: give a PATH, or models.entries in martlet.yaml")
        }
        for path in paths + entries.map(\.path) where !FileSystem.exists(path) {
            throw CommandFailure("\(path) is not there")
        }
        let telemetry = try bootstrapTelemetry()
        let logger = Logger(label: "martlet")
        let started = realTimeSeconds()
        let threads = settings.number("engine.threads")
        if threads > 0 { KernelPool.start(threads: threads) }

        let host = LocalModelHost(
            try servingOptions(entries, logger), engine: engine(logger),
            openLanguage: ModelLoader.engineLanguage(try languageExtras()))
        let protocolSettings = ProtocolSettings(log: logSettings()) { log in
            telemetry.threshold.set(
                info: log.info, warning: log.warning, error: log.error,
                verboseLevel: log.verboseLevel)
        }
        let page = MetricsPage(
            registry: telemetry.registry, process: ProcessMetrics(startSeconds: started),
            host: host, hasTritonNames: settings.text("metrics.names") == "triton")
        let services =
            [
                ServiceGroupConfiguration.ServiceConfiguration(
                    service: ModelService(
                        host: host, isFixed: settings.text("models.control_mode") == "none",
                        logger: logger))
            ]
            + (try doors(host: host, protocolSettings: protocolSettings, page: page))
            .map { .init(service: $0) }
        logger.info(
            "starting",
            metadata: [
                "version": "\(Release.version)", "kernels": "\(KernelPool.levelName)",
                "threads": "\(KernelPool.size)",
            ])
        var group = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(
            settings.number("server.drain_seconds") + 5)
        try await ServiceGroup(configuration: group).run()
        logger.info("stopped")
    }

    // MARK: Parts

    private func bootstrapTelemetry() throws -> Telemetry {
        let path = settings.text("log.file")
        return Telemetry.bootstrap(
            style: StructuredLogHandler.Style(rawValue: settings.text("log.style")) ?? .pretty,
            output: path.isEmpty ? LogOutput() : try LogOutput(path: path),
            level: Logger.Level(rawValue: settings.text("log.level")) ?? .info)
    }

    private func logSettings() -> LogSettings {
        let level = Logger.Level(rawValue: settings.text("log.level")) ?? .info
        return LogSettings(
            file: settings.text("log.file"), info: level <= .info, warning: level <= .warning,
            error: true, verboseLevel: level == .trace ? 2 : level == .debug ? 1 : 0)
    }

    private func servingOptions(
        _ entries: [ModelEntry], _ logger: Logger
    ) throws -> ServingOptions {
        var options = ServingOptions(paths: paths)
        options.entries += entries.map {
            ServingOptions.Entry(
                path: $0.path, name: $0.name, pipeline: $0.pipeline,
                engine: $0.engine)
        }
        try nameModels(&options)
        options.controlMode =
            ServingOptions.ControlMode(rawValue: settings.text("models.control_mode")) ?? .none
        options.startupModels = settings.list("models.load")
        options.isReadinessStrict = settings.flag("models.strict_readiness")
        options.loadThreads = settings.number("models.load_threads")
        options.pollInterval = .seconds(settings.number("models.poll_seconds"))
        options.drainTimeout = .seconds(settings.number("server.drain_seconds"))
        options.allowsSharedMemory = settings.flag("models.allow_shared_memory")
        options.allowsAdapterUpdates = settings.flag("language.allow_adapter_updates")
        options.engineOptions = try EngineOptions(
            memoryBytesMax: settings.number("engine.memory_mib_max") << 20,
            precision: EnginePrecision(rawValue: settings.text("engine.precision")) ?? .float32,
            planCache: PlanCacheSetting.options(
                settings.text("engine.plan_cache"),
                mebibytesMax: settings.number("engine.plan_cache_mib_max")),
            note: { logger.notice("\($0)") })
        options.engineOptions.calibrate = Calibration.beside
        return options
    }

    /// Gives the one model of the command line its names.
    private func nameModels(_ options: inout ServingOptions) throws {
        let names = settings.list("models.served_names")
        guard let name = names.first else { return }
        guard options.entries.count == 1 else {
            throw CommandFailure(
                "models.served_names: names are for one model, \(options.entries.count) are served")
        }
        guard Set(names).count == names.count, !names.contains("") else {
            throw CommandFailure("models.served_names: a name is empty or there twice")
        }
        options.entries[0].name = name
        for other in names.dropFirst() { options.otherNames[other] = name }
    }

    private func languageExtras() throws -> ModelLoader.LanguageExtras {
        var extras = ModelLoader.LanguageExtras()
        extras.draftPath = settings.text("language.draft_model")
        let contextLength = settings.number("language.max_model_len")
        extras.contextLength = contextLength > 0 ? contextLength : nil
        extras.runningMax = settings.number("language.max_num_seqs")
        extras.adaptersMax = settings.number("language.adapters_max")
        extras.cacheType =
            DecoderOptions.CacheType(rawValue: settings.text("language.kv_cache_dtype"))
            ?? .float16
        extras.cacheByteCountMax = settings.number("language.kv_cache_mib") << 20
        if settings.flag("language.allow_adapter_updates"), extras.adaptersMax == 0 {
            extras.adaptersMax = 8
        }
        for entry in settings.list("language.adapters") {
            let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw CommandFailure("language.adapters: '\(entry)' is not NAME=FOLDER")
            }
            extras.adapters.append((parts[0], parts[1]))
        }
        return extras
    }

    private func engine(_ logger: Logger) -> any Engine {
        ChoosingEngine(
            EngineChoice(rawValue: settings.text("engine.name")) ?? .native,
            report: { model, reason in
                logger.notice(
                    "runs on ONNX Runtime",
                    metadata: ["model": "\(model)", "reason": "\(reason)"])
            })
    }

    private func doors(
        host: LocalModelHost, protocolSettings: ProtocolSettings, page: MetricsPage
    ) throws -> [any Service] {
        var services: [any Service] = []
        if settings.number("server.grpc_port") >= 0 {
            services.append(
                GRPCServer(
                    host, settings: protocolSettings, configuration: grpcConfiguration()
                ) { [name = settings.text("server.host")] port in
                    Logger(label: "martlet.grpc").info(
                        "gRPC listening", metadata: ["host": "\(name)", "port": "\(port)"])
                })
        }
        var router = Router()
        KServeRoutes(host, settings: protocolSettings).add(to: &router)
        OpenAIRoutes(host).add(to: &router)
        GenerationRoutes(host).add(to: &router)
        AdminRoutes.add(to: &router, name: "martlet", version: Release.version) { page.text() }
        let http = HTTPServer(
            configuration: httpConfiguration(port: settings.number("server.http_port")),
            router: router)
        if settings.number("server.http_port") >= 0 { services.append(http) }
        if let gateway { services.append(try gateway.server(LocalModels(door: http.local))) }
        if settings.number("server.metrics_port") >= 0 {
            var router = Router()
            AdminRoutes.add(to: &router, name: "martlet", version: Release.version) { page.text() }
            var configuration = httpConfiguration(port: settings.number("server.metrics_port"))
            configuration.threadCount = 1
            configuration.door = "metrics"
            services.append(
                HTTPServer(
                    configuration: configuration, router: router,
                    logger: Logger(label: "martlet.metrics")))
        }
        return services
    }

    private func grpcConfiguration() -> GRPCServer.Configuration {
        var limits = GRPCServer.Limits()
        limits.messageBytes = settings.number("server.body_bytes_max")
        limits.unfinishedBytes = settings.number("server.bodies_bytes_max")
        limits.connections = settings.number("server.connections_max")
        limits.bodyTime = .seconds(settings.number("server.request_seconds"))
        limits.drainTime = .seconds(settings.number("server.drain_seconds"))
        let certificate = settings.text("server.tls_certificate")
        return GRPCServer.Configuration(
            host: settings.text("server.host"), port: settings.number("server.grpc_port"),
            tls: certificate.isEmpty
                ? nil
                : GRPCServer.TLS(
                    certificatePath: certificate, privateKeyPath: settings.text("server.tls_key")),
            limits: limits)
    }

    private func httpConfiguration(port: Int) -> HTTPServerConfiguration {
        var configuration = HTTPServerConfiguration(host: settings.text("server.host"), port: port)
        configuration.threadCount = settings.number("server.threads")
        configuration.limits.bodyBytesMax = settings.number("server.body_bytes_max")
        configuration.bodiesBytesMax = settings.number("server.bodies_bytes_max")
        configuration.connectionCountMax = settings.number("server.connections_max")
        configuration.idleTimeout = .seconds(settings.number("server.idle_seconds"))
        configuration.bodyTimeout = .seconds(settings.number("server.request_seconds"))
        configuration.drainTimeout = .seconds(settings.number("server.drain_seconds"))
        configuration.logsAccess = settings.flag("log.requests")
        let certificate = settings.text("server.tls_certificate")
        if !certificate.isEmpty {
            configuration.tls = HTTPServerConfiguration.TLS(
                certificateFile: certificate, keyFile: settings.text("server.tls_key"))
        }
        return configuration
    }

    private func realTimeSeconds() -> Double {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }
}

/// The models' part of the process: what cannot be loaded at start is said, and when nothing can,
/// the process ends.
private struct ModelService: Service {
    let host: LocalModelHost
    /// Whether nothing can be added later.
    let isFixed: Bool
    let logger: Logger

    func run() async throws {
        do {
            try await host.start()
        } catch {
            guard !isFixed || !host.models().isEmpty else { throw error }
            // Each failure has its own line already, but for what stopped the search itself.
            let reason = "\(error)".split(separator: "\n").first.map(String.init) ?? ""
            logger.error("not every model was loaded", metadata: ["first": "\(reason)"])
        }
        if isFixed, host.models().isEmpty {
            throw CommandFailure(
                "no model found: a PATH is an ONNX file, a folder with config.json, "
                    + "model.safetensors and tokenizer.json, or a repository of NAME/1/model.onnx")
        }
        logger.info(
            host.isReady ? "ready" : "serving, but not ready",
            metadata: ["models": "\(host.models().count)"])
        try await host.run()
    }
}
