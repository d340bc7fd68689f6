// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway

/// One endpoint, with the bytes that every request to it carries. The same object lives through
/// changes of the configuration that leave the endpoint as it is, and its connections with it.
final class UpstreamIdentity: Sendable {
    let name: String
    let host: String
    let port: Int
    let isEncrypted: Bool
    /// What goes before every path.
    let pathPrefix: [UInt8]
    /// The Host line, line end included.
    let hostLine: [UInt8]
    /// The Authorization line with the upstream's own key.
    let credentialLine: [UInt8]?
    /// It has a key of its own: the client's is never for it, whether ours is there or not.
    let ownsKey: Bool
    let tls: UpstreamTLSPolicy
    let dialect: GatewayConfiguration.Upstream.Dialect
    private let source: RoutingTables.Upstream

    /// - Parameter secret: the upstream's API key.
    init(_ upstream: RoutingTables.Upstream, secret: String?, hasModels: Bool = false) {
        source = upstream
        name = upstream.name
        tls = upstream.tls
        ownsKey = upstream.keyVariable != nil
        dialect = upstream.dialect
        switch upstream.address {
        case .remote(_, let host, let port, let path):
            self.host = host
            self.port = port
            isEncrypted = upstream.address.isEncrypted
            pathPrefix = Array(path.utf8)
            let shown = host.contains(":") ? "[\(host)]" : host
            hostLine = Array("Host: \(shown):\(port)\r\n".utf8)
            localModel = nil
            canBeAsked = true
        case .local(let model):
            host = ""
            port = 0
            isEncrypted = false
            pathPrefix = []
            hostLine = Array("Host: localhost\r\n".utf8)
            localModel = model
            canBeAsked = hasModels
        }
        credentialLine = secret.map { Array("Authorization: Bearer \($0)\r\n".utf8) }
    }

    /// The name of the model of this process that it is.
    let localModel: String?
    /// Models of this process cannot be asked where there are none: they count as down.
    let canBeAsked: Bool
    /// Streams are asked for what they used.
    var asksUsage: Bool { source.asksUsage }
    var speaksHTTP2: Bool { source.isHTTP2 && localModel == nil }

    /// Whether it is the same server, whatever it is told.
    func isSameEndpoint(as other: UpstreamIdentity) -> Bool {
        source.address == other.source.address
    }

    /// Whether it stands for the same endpoint with the same credentials.
    func matches(_ upstream: RoutingTables.Upstream, secret: String?) -> Bool {
        source.name == upstream.name && source.address == upstream.address
            && source.dialect == upstream.dialect && source.isHTTP2 == upstream.isHTTP2
            && source.asksUsage == upstream.asksUsage
            && source.tls == upstream.tls && source.keyVariable == upstream.keyVariable
            && credentialLine == secret.map { Array("Authorization: Bearer \($0)\r\n".utf8) }
    }
}
