// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
internal import MartletSignatures

/// Whose tokens are taken, and what they must say.
package struct TokenPolicy: Sendable, Hashable {
    package var issuer: String
    /// The token must be for one of these; empty: for anybody.
    package var audiences: [String] = []
    package var algorithms = TokenAlgorithm.allCases
    /// Dotted paths of the claims that say the tenant and the models.
    package var tenantClaim: String?
    package var modelsClaim: String?
    /// How far clocks may differ, in seconds.
    package var leeway: Int64 = 30

    package init(issuer: String) { self.issuer = issuer }
}

/// What a good token says.
package struct TokenClaims: Sendable, Hashable {
    package var subject: String?
    package var tenant: String?
    /// nil: the token does not restrict them.
    package var models: [String]?
    /// Seconds since the epoch, leeway included.
    package var expires: Int64
}

/// Why a token is not taken. Nothing of the token is in it.
package struct TokenRefusal: Error, Sendable, Hashable {
    package enum Kind: String, Sendable {
        case malformed = "invalid_token"
        case expired = "expired_token"
        /// Signed with a key that the issuer does not publish (yet).
        case unknownKey = "unknown_token_key"
    }

    package var kind: Kind
    package var message: String

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}

/// A JSON Web Token taken apart (RFC 7519, 7515) and checked as RFC 8725 advises: the algorithm is
/// the configuration's choice, never the token's; every claim that is there has its type.
package struct TokenVerifier: Sendable {
    package static let bytesMax = 16 << 10

    package let policy: TokenPolicy

    package init(_ policy: TokenPolicy) { self.policy = policy }

    /// Whether a secret is written as a token is: three parts, the first of them JSON's `{"`.
    package static func looksLikeToken(_ secret: some Collection<UInt8>) -> Bool {
        secret.starts(with: Array("ey".utf8))
            && secret.lazy.filter({ $0 == UInt8(ascii: ".") }).count == 2
    }

    /// The issuer that a token names; it is not checked.
    package static func issuer(_ token: [UInt8]) -> String? {
        guard token.count <= bytesMax else { return nil }
        let parts = token.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        return object(parts[1])?["iss"]?.stringValue
    }

    /// - Parameter now: seconds since the epoch.
    package func verify(
        _ token: [UInt8], with keys: KeySet, now: Int64
    ) throws(TokenRefusal) -> TokenClaims {
        guard token.count <= TokenVerifier.bytesMax else {
            throw TokenRefusal(.malformed, "the token is too long")
        }
        let parts = token.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let header = TokenVerifier.object(parts[0]),
            let claims = TokenVerifier.object(parts[1]),
            let signature = Base64URL.decode(parts[2])
        else { throw TokenRefusal(.malformed, "the token is no JSON Web Token") }
        let algorithm = try algorithm(header)
        let id = header["kid"]?.stringValue
        let candidates = keys.candidates(id: id, algorithm)
        guard !candidates.isEmpty else {
            let isKnown = id.map { keys.has(id: $0) } ?? true
            throw TokenRefusal(
                isKnown ? .malformed : .unknownKey,
                isKnown
                    ? "no key of the issuer is for this token's algorithm"
                    : "the token's key is not among the issuer's")
        }
        let signed = token[..<parts[1].endIndex]
        guard
            candidates.contains(where: {
                $0.key.verifies(signature, of: signed, algorithm.scheme)
            })
        else { throw TokenRefusal(.malformed, "the token's signature is not the issuer's") }
        return try check(claims, now: now)
    }

    private func algorithm(_ header: JSONValue) throws(TokenRefusal) -> TokenAlgorithm {
        guard let name = header["alg"]?.stringValue,
            let algorithm = TokenAlgorithm(rawValue: name), policy.algorithms.contains(algorithm)
        else { throw TokenRefusal(.malformed, "the token's algorithm is not accepted") }
        guard header["crit"] == nil, header["b64"] == nil else {
            throw TokenRefusal(.malformed, "the token asks for what is not understood here")
        }
        if let kid = header["kid"], kid.stringValue == nil {
            throw TokenRefusal(.malformed, "the token's kid is no text")
        }
        if let type = header["typ"] {
            guard let type = type.stringValue?.lowercased(),
                ["jwt", "at+jwt", "application/at+jwt"].contains(type)
            else { throw TokenRefusal(.malformed, "the token is of another type") }
        }
        return algorithm
    }

    private func check(
        _ claims: JSONValue, now: Int64
    ) throws(TokenRefusal) -> TokenClaims {
        guard claims["iss"]?.stringValue == policy.issuer else {
            throw TokenRefusal(.malformed, "the token is another issuer's")
        }
        guard let expires = try time(claims, "exp") else {
            throw TokenRefusal(.malformed, "the token has no exp")
        }
        guard now < expires &+ policy.leeway else {
            throw TokenRefusal(.expired, "the token has expired")
        }
        if let start = try time(claims, "nbf"), now < start &- policy.leeway {
            throw TokenRefusal(.malformed, "the token is not valid yet")
        }
        if let issued = try time(claims, "iat"), now < issued &- policy.leeway {
            throw TokenRefusal(.malformed, "the token was issued in the future")
        }
        try checkAudience(claims["aud"])
        return TokenClaims(
            subject: try text(claims["sub"], "sub"),
            tenant: try policy.tenantClaim.flatMap { path throws(TokenRefusal) in
                try text(TokenVerifier.claim(path, of: claims), path)
            },
            models: try models(claims), expires: expires &+ policy.leeway)
    }

    private func time(_ claims: JSONValue, _ name: String) throws(TokenRefusal) -> Int64? {
        guard let value = claims[name] else { return nil }
        guard let seconds = value.doubleValue, seconds >= 0, seconds < 1e12 else {
            throw TokenRefusal(.malformed, "the token's \(name) is no time")
        }
        return Int64(seconds)
    }

    private func text(_ value: JSONValue?, _ name: String) throws(TokenRefusal) -> String? {
        guard let value, value != .null else { return nil }
        guard let text = value.stringValue, text.utf8.count <= 256,
            text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { throw TokenRefusal(.malformed, "the token's \(name) is no short text") }
        return text
    }

    private func checkAudience(_ value: JSONValue?) throws(TokenRefusal) {
        guard !policy.audiences.isEmpty else { return }
        let named: [String]
        switch value {
        case .string(let one)?: named = [one]
        case .array(let many)?: named = many.compactMap(\.stringValue)
        default: named = []
        }
        guard named.contains(where: policy.audiences.contains) else {
            throw TokenRefusal(.malformed, "the token is for somebody else")
        }
    }

    /// A list of texts, or one text with spaces between.
    private func models(_ claims: JSONValue) throws(TokenRefusal) -> [String]? {
        guard let path = policy.modelsClaim,
            let value = TokenVerifier.claim(path, of: claims), value != .null
        else { return policy.modelsClaim == nil ? nil : [] }
        if let text = value.stringValue { return text.split(separator: " ").map(String.init) }
        guard let list = value.arrayValue, list.count <= 1_000,
            list.allSatisfy({ $0.stringValue != nil })
        else { throw TokenRefusal(.malformed, "the token's models are no texts") }
        return list.compactMap(\.stringValue)
    }

    /// A claim of that name, or else at that dotted path.
    private static func claim(_ path: String, of claims: JSONValue) -> JSONValue? {
        if let whole = claims[path] { return whole }
        var current = claims
        for part in path.split(separator: ".") {
            guard let next = current[String(part)] else { return nil }
            current = next
        }
        return current
    }

    private static func object(_ part: some Collection<UInt8>) -> JSONValue? {
        guard let bytes = Base64URL.decode(part), let json = try? JSONValue(parsing: bytes),
            json.objectValue != nil
        else { return nil }
        return json
    }
}
