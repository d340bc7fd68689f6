// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import Logging
internal import MartletGateway
internal import MartletProxy
internal import MartletStorage

/// The gateway alone, with a main thread that waits for SIGTERM itself: valgrind does not survive
/// the one of libdispatch.
@main
struct GatewayBenchmark {
    static func main() throws {
        if CommandLine.arguments.dropFirst().first == "--swaps" {
            Task.detached { try await SwapBenchmark.run() }
            while true { pause() }
        }
        guard let place = CommandLine.arguments.firstIndex(of: "--config"),
            place + 1 < CommandLine.arguments.count
        else { return print("GatewayBenchmark --config gateway.yaml | --swaps") }
        let file = CommandLine.arguments[place + 1]
        let bytes = try FileSystem.readAll(file, limit: 64 << 20)
        let snapshot = try RoutingSnapshot(yaml: bytes, file: file)
        var logger = Logger(label: "martlet.gateway")
        logger.logLevel = .error
        let server = try GatewayServer(snapshot, logger: logger)
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGTERM)
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
        // Not on the main actor, whose thread waits below.
        Task.detached { _ = try await server.start() }
        var signal: CInt = 0
        unsafe sigwait(&signals, &signal)
        exit(0)
    }
}
