// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import NIOSSL

/// How this process joins the other replicas.
struct ReplicaState: Sendable {
    let configuration: SharedStateConfiguration
    let address: SharedStateAddress
    let password: String?
    /// Its name among the replicas, another with each start.
    let process: String

    init(
        _ configuration: SharedStateConfiguration, tls: NIOSSLContext?,
        secrets: (String) -> String?
    ) {
        self.configuration = configuration
        address = SharedStateAddress(
            host: configuration.host, port: configuration.port, timeout: configuration.timeout,
            tls: configuration.isEncrypted ? tls : nil)
        password = configuration.passwordVariable.flatMap(secrets)
        process = String(UInt64.random(in: .min ... .max), radix: 36)
    }
}
