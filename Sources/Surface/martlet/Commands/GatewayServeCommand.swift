// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import Logging
internal import MartletGateway
internal import MartletTelemetry
internal import ServiceLifecycle
internal import UnixSignals

/// `martlet gateway --config gateway.yaml`: carries requests until told to stop.
struct GatewayServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the gateway.",
        discussion: """
            The file is watched: a changed one is put in force for the next request, a bad one is \
            refused whole with its lines, and what was in force stays. SIGTERM drains.
            """)

    @Option(name: .long, help: "The gateway.yaml.")
    var config = "gateway.yaml"

    @Option(help: "Address to listen on, instead of the file's.")
    var host: String?

    @Option(help: "Port, instead of the file's; 0 takes any free one.")
    var port: Int?

    @Option(help: "pretty or json.")
    var logStyle = "pretty"

    @Option(help: "trace, debug, info, notice, warning or error.")
    var logLevel = "info"

    func run() async throws {
        let snapshot = try GatewayRules(file: config).snapshot.listening(host: host, port: port)
        guard let style = StructuredLogHandler.Style(rawValue: logStyle),
            let level = Logger.Level(rawValue: logLevel)
        else { throw ValidationError("--log-style or --log-level is not known") }
        _ = Telemetry.bootstrap(style: style, output: LogOutput(), level: level)
        let logger = Logger(label: "martlet.gateway")
        let server = try GatewayRules(file: config, snapshot: snapshot).server(nil)
        var group = ServiceGroupConfiguration(
            services: [.init(service: server)], gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger)
        group.maximumGracefulShutdownDuration = snapshot.tables.listen.drain + .seconds(5)
        try await ServiceGroup(configuration: group).run()
    }
}
