// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import ArgumentParser
internal import Glibc
internal import Logging
internal import MartletGateway
internal import MartletProxy
internal import MartletStorage

/// A gateway.yaml that has been read, and the gateway that goes by it.
struct GatewayRules {
    let file: String
    let snapshot: RoutingSnapshot

    init(file: String, snapshot: RoutingSnapshot) {
        self.file = file
        self.snapshot = snapshot
    }

    /// Prints what is wrong with the file and ends the command when it cannot be used.
    init(file: String) throws {
        let bytes = try GatewayFile.read(file)
        do {
            self.init(file: file, snapshot: try RoutingSnapshot(yaml: bytes, file: file))
        } catch {
            print(GatewayFile.report(error, bytes, file))
            throw ExitCode.failure
        }
    }

    /// - Parameter models: the process's own, for upstreams with `local`.
    func server(_ models: LocalModels?) throws -> GatewayServer {
        let logger = Logger(label: "martlet.gateway")
        for warning in warnings {
            logger.warning("\(warning)", metadata: ["file": "\(file)"])
        }
        return try GatewayServer(
            snapshot, file: file, logger: logger, local: models, version: Release.version,
            secrets: GatewayRules.variable)
    }

    /// What looks like a mistake, and what is missing on this machine.
    var warnings: [String] {
        snapshot.warnings
            + snapshot.missing(
                hasVariable: { GatewayRules.variable($0)?.isEmpty == false },
                hasFile: FileSystem.exists)
    }

    @Sendable
    private static func variable(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }
}
