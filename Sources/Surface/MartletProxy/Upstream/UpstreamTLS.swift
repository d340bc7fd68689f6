// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import NIOSSL
internal import Synchronization

/// How upstreams behind TLS are spoken to: what is offered differs, all else is the same.
struct UpstreamTLS: Sendable {
    let http1: NIOSSLContext
    let http2: NIOSSLContext

    /// - Parameter trustFile: the authorities to trust where the policy names none; nil: the
    ///   system's.
    init(_ policy: UpstreamTLSPolicy = .init(), trustFile: String? = nil) throws(ProxyError) {
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let file = policy.authorities ?? trustFile {
            configuration.trustRoots = .certificates(try UpstreamTLS.certificates(file))
        }
        if let file = policy.certificate {
            configuration.certificateChain = try UpstreamTLS.certificates(file)
                .map { .certificate($0) }
            let key = policy.key ?? file
            do {
                configuration.privateKey = .privateKey(
                    try NIOSSLPrivateKey(file: key, format: .pem))
            } catch {
                throw ProxyError(.badCertificate, "TLS to upstreams: key '\(key)': \(error)")
            }
        }
        do {
            http1 = try NIOSSLContext(configuration: configuration)
            configuration.applicationProtocols = ["h2"]
            http2 = try NIOSSLContext(configuration: configuration)
        } catch {
            throw ProxyError(.badCertificate, "TLS to upstreams: \(error)")
        }
    }

    private static func certificates(_ file: String) throws(ProxyError) -> [NIOSSLCertificate] {
        do {
            let found = try NIOSSLCertificate.fromPEMFile(file)
            if !found.isEmpty { return found }
        } catch {
            throw ProxyError(.badCertificate, "TLS to upstreams: '\(file)': \(error)")
        }
        throw ProxyError(.badCertificate, "TLS to upstreams: '\(file)' holds no certificate")
    }
}

/// The TLS contexts of all upstreams, each made once and shared by the event loops.
///
/// They are made before a configuration that needs them is put in force, because that reads files.
/// An upstream whose context is not there is not asked: nothing is ever sent in the clear instead.
final class UpstreamTLSContexts: Sendable {
    private let state = Mutex<[UpstreamTLSPolicy: UpstreamTLS]>([:])
    private let trustFile: String?

    /// - Parameter trustFile: what SSL_CERT_FILE says.
    init(trustFile: String?) {
        self.trustFile = trustFile.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Makes what is needed: the system's authorities are read once, files anew each time, so that
    /// a certificate that was replaced is taken up by the next reload. All of it or none.
    func prepare(_ policies: Set<UpstreamTLSPolicy>) throws(ProxyError) {
        let known = state.withLock { $0 }
        var made: [UpstreamTLSPolicy: UpstreamTLS] = [:]
        for policy in policies {
            if policy == UpstreamTLSPolicy(), trustFile == nil, let same = known[policy] {
                made[policy] = same
            } else {
                made[policy] = try UpstreamTLS(policy, trustFile: trustFile)
            }
        }
        let all = made
        // What was needed before may be gone back to.
        state.withLock { $0.merge(all) { _, new in new } }
    }

    /// nil: this upstream cannot be asked.
    func context(_ policy: UpstreamTLSPolicy, isHTTP2: Bool) -> NIOSSLContext? {
        state.withLock { isHTTP2 ? $0[policy]?.http2 : $0[policy]?.http1 }
    }

    /// What a configuration needs.
    static func needed(_ snapshot: RoutingSnapshot) -> Set<UpstreamTLSPolicy> {
        var policies: Set<UpstreamTLSPolicy> = []
        for upstream in snapshot.tables.upstreams where upstream.address.isEncrypted {
            policies.insert(upstream.tls)
        }
        for issuer in snapshot.tables.access.issuers {
            if case .remote(let address) = issuer.source, address.isEncrypted {
                policies.insert(UpstreamTLSPolicy())
            }
        }
        if snapshot.tables.state?.isEncrypted ?? false { policies.insert(UpstreamTLSPolicy()) }
        return policies
    }

    /// What a failed handshake says, for whoever runs the gateway; nil when it was none.
    static func failure(_ error: any Error, with identity: UpstreamIdentity) -> UpstreamFailure? {
        let reason: String
        switch error {
        case NIOSSLError.handshakeFailed(let cause):
            reason =
                "\(cause)".contains("CERTIFICATE_VERIFY_FAILED")
                ? "its certificate is not trusted (tls: {ca: FILE} or SSL_CERT_FILE names the "
                    + "authority)"
                : "\(cause)"
        case is NIOSSLExtraError: reason = "\(error)"
        default: return nil
        }
        return .cannotConnect(
            "TLS with \(identity.host):\(identity.port) failed: \(reason)")
    }
}
