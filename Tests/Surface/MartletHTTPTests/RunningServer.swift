// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletHTTP
internal import MartletTesting
internal import MartletServing

/// A server on a free loopback port with all routes over a scripted host.
struct RunningServer {
    let server: HTTPServer
    let host: ScriptedHost
    let port: Int

    static func with<Result>(
        _ configure: (inout HTTPServerConfiguration) -> Void = { _ in },
        _ body: (RunningServer) async throws -> Result
    ) async throws -> Result {
        var configuration = HTTPServerConfiguration(host: "127.0.0.1", port: 0)
        configuration.drainTimeout = .seconds(5)
        configuration.logsAccess = false
        configure(&configuration)
        let host = ScriptedHost()
        var router = Router()
        AdminRoutes.add(
            to: &router, name: "martlet", version: "0", metrics: { Array("up 1\n".utf8) })
        KServeRoutes(host, settings: ProtocolSettings()).add(to: &router)
        OpenAIRoutes(host).add(to: &router)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = HTTPServer(configuration: configuration, router: router, logger: logger)
        let port = try await server.start()
        do {
            let result = try await body(RunningServer(server: server, host: host, port: port))
            await server.stop()
            return result
        } catch {
            await server.stop()
            throw error
        }
    }

    func client() throws -> RawClient { try RawClient(port: port) }

    /// Waits until something is so, for at most five seconds.
    func eventually(_ isSo: () -> Bool) async throws -> Bool {
        for _ in 0..<500 {
            if isSo() { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }
}
