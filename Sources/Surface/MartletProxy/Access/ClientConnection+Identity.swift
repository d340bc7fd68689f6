// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletSignatures
internal import MartletWire
internal import NIOCore
internal import NIOSSL

/// Who asks, when it is not by an API key: tokens and client certificates.
extension ClientConnection {
    // MARK: Tokens

    /// Answers and returns false when the token is not good.
    func authenticate(
        token secret: Range<Int>, isKnown: Bool, _ head: HTTPRequestHead,
        _ runtime: GatewayRuntime, at now: MonotonicInstant
    ) -> Bool {
        let seconds = loop.epochSeconds(at: now)
        let token = Array(head.fields.bytes[secret])
        guard let issuer = issuer(of: token, runtime) else {
            return refuse(token: "invalid_token", "the token is of no issuer that is known here")
        }
        let place = runtime.access.issuers[issuer]
        guard let (keys, generation) = runtime.tokenKeys[issuer].current else {
            loop.metrics.unauthorized += 1
            fail(
                503, "token_keys_unavailable", "the issuer's keys are not to be had",
                retryAfter: .seconds(1))
            return false
        }
        if let known = knownToken, knownIn == runtime.serial, isKnown,
            known.generation == generation, knownKey == place.key
        {
            guard seconds < known.expires else {
                return refuse(token: "expired_token", "the token has expired")
            }
            return accept(known, place.key)
        }
        do throws(TokenRefusal) {
            let claims = try place.verifier.verify(token, with: keys, now: seconds)
            let identity = TokenIdentity(
                claims, modelIndex: runtime.access.modelIndex, generation: generation)
            if let tenant = identity.tenant, !runtime.access.tenants.isEmpty,
                !runtime.access.tenants.contains(tenant)
            {
                return refuse(token: "unknown_tenant", "the token's tenant is not known here")
            }
            knownToken = identity
            knownKey = place.key
            knownIn = runtime.serial
            knownSecret = token
            return accept(identity, place.key)
        } catch {
            if error.kind == .unknownKey { runtime.tokenKeys[issuer].want() }
            return refuse(token: error.kind.rawValue, error.message)
        }
    }

    private func issuer(of token: [UInt8], _ runtime: GatewayRuntime) -> Int? {
        let issuers = runtime.access.issuers
        if issuers.count == 1 { return 0 }
        guard let name = TokenVerifier.issuer(token) else { return nil }
        return issuers.firstIndex { $0.verifier.policy.issuer == name }
    }

    private func accept(_ identity: TokenIdentity, _ key: Int) -> Bool {
        exchange.key = key
        exchange.identity = identity
        return true
    }

    private func refuse(token code: String, _ message: String) -> Bool {
        loop.metrics.unauthorized += 1
        // Checking a signature costs more than looking a key up: who floods must connect again.
        badSecrets += 1
        if badSecrets >= 10 { exchange.keepsAlive = false }
        fail(401, code, message)
        return false
    }

    // MARK: Certificates

    /// Whether the client's certificate stands for a key.
    func isCertified(_ runtime: GatewayRuntime) -> Bool {
        guard shared.listen.clientAuthorities != nil else { return false }
        let names: [String]
        if let known = certificateNames {
            names = known
        } else {
            // A stream has no channel of its own: the handshake was its connection's.
            let certificate = try? (stream?.link.context ?? context)?.channel.pipeline
                .syncOperations.nioSSL_peerCertificate()
            names = (try? certificate?.toDERBytes()).map(CertificateNames.read) ?? []
            certificateNames = names
        }
        guard let key = runtime.access.look(certificate: names) else { return false }
        exchange.key = key
        return true
    }
}
