// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import MartletSignatures
internal import MartletTesting
internal import Testing

@Suite("Tokens")
struct TokenTests {
    private static let now: Int64 = 1_800_000_000

    private func policy() -> TokenPolicy {
        var policy = TokenPolicy(issuer: "https://idp")
        policy.audiences = ["martlet"]
        policy.tenantClaim = "org.tenant"
        policy.modelsClaim = "models"
        return policy
    }

    private func keys(_ text: String = TokenVectors.keys) throws -> KeySet {
        try KeySet(Array(text.utf8))
    }

    private func refusal(
        _ token: String, _ policy: TokenPolicy? = nil, now: Int64 = TokenTests.now,
        keys: KeySet? = nil
    ) throws -> TokenRefusal? {
        let keys = try keys ?? self.keys()
        do throws(TokenRefusal) {
            _ = try TokenVerifier(policy ?? self.policy()).verify(
                Array(token.utf8), with: keys, now: now)
            return nil
        } catch { return error }
    }

    private static func encode(_ text: String) -> String {
        let digits = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var bits: UInt32 = 0
        var count = 0
        var found: [UInt8] = []
        for byte in text.utf8 {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                found.append(digits[Int(bits >> UInt32(count) & 63)])
            }
        }
        if count > 0 { found.append(digits[Int(bits << UInt32(6 - count) & 63)]) }
        return String(decoding: found, as: UTF8.self)
    }

    @Test("tokens of every algorithm are taken, and what they say is read")
    func good() throws {
        for algorithm in TokenAlgorithm.allCases {
            let token = try #require(TokenVectors.tokens[algorithm.rawValue])
            let claims = try TokenVerifier(policy()).verify(
                Array(token.utf8), with: keys(), now: Self.now)
            #expect(claims.subject == "u1" && claims.tenant == "acme", "\(algorithm)")
            #expect(claims.models == ["m", "n"] && claims.expires == 2_000_000_030)
            #expect(TokenVerifier.looksLikeToken(token.utf8))
            #expect(TokenVerifier.issuer(Array(token.utf8)) == "https://idp")
        }
    }

    @Test("a changed byte anywhere makes a token worthless")
    func damaged() throws {
        for (algorithm, token) in TokenVectors.tokens {
            let bytes = Array(token.utf8)
            for place in stride(from: 3, to: bytes.count, by: 41) {
                var bad = bytes
                bad[place] = bad[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
                let text = String(decoding: bad, as: UTF8.self)
                #expect(try refusal(text) != nil, "\(algorithm) at \(place)")
            }
        }
    }

    @Test("one algorithm's signature is not another's, whatever the header says")
    func confusion() throws {
        let parts = try #require(TokenVectors.tokens["RS256"]).split(separator: ".")
        for algorithm in ["none", "None", "NONE", "HS256", "HS512", "ES256", "EdDSA", "RS384", ""] {
            let header = Self.encode(#"{"alg":"\#(algorithm)","kid":"RS"}"#)
            for signature in [String(parts[2]), ""] {
                #expect(try refusal("\(header).\(parts[1]).\(signature)")?.kind == .malformed)
            }
        }
        var narrow = policy()
        narrow.algorithms = [.es256]
        #expect(try refusal(TokenVectors.tokens["RS256"] ?? "", narrow)?.kind == .malformed)
        #expect(try refusal(TokenVectors.tokens["ES256"] ?? "", narrow) == nil)
        // A key that says what it is for is used for nothing else.
        let only = try keys(
            TokenVectors.keys.replacing(#""kid":"RS""#, with: #""kid":"RS","alg":"RS512""#))
        #expect(try refusal(TokenVectors.tokens["RS256"] ?? "", keys: only)?.kind == .malformed)
        #expect(try refusal(TokenVectors.tokens["RS512"] ?? "", keys: only) == nil)
    }

    @Test("time, issuer, audience and key are checked")
    func claims() throws {
        let token = TokenVectors.tokens["ES256"] ?? ""
        #expect(try refusal(token, now: 2_000_000_029) == nil)
        #expect(try refusal(token, now: 2_000_000_030)?.kind == .expired)
        #expect(try refusal(token, now: 1_699_999_969)?.kind == .malformed)
        var other = policy()
        other.issuer = "https://other"
        #expect(try refusal(token, other)?.kind == .malformed)
        other = policy()
        other.audiences = ["somebody"]
        #expect(try refusal(token, other)?.kind == .malformed)
        let renamed = try keys(
            TokenVectors.keys.replacing(#""kid":"ES256""#, with: #""kid":"new""#))
        #expect(try refusal(token, keys: renamed)?.kind == .unknownKey)
        for bad in ["", ".", "..", "a.b", "a.b.c.d", "ey.ey.ey", "\(token)=", " \(token)"] {
            #expect(try refusal(bad)?.kind == .malformed)
        }
        #expect(try refusal(String(repeating: "e", count: 20_000))?.kind == .malformed)
    }

    @Test("keys that are too weak or of no use here are passed over")
    func keySets() throws {
        #expect(try keys().keys.count == 4)
        for text in [
            "", "[]", "{}", #"{"keys":[]}"#, #"{"keys":[{"kty":"oct","k":"AAAA"}]}"#,
            #"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#,
            #"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}"#,
            #"{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}]}"#,
            TokenVectors.keys.replacing(#""kid""#, with: #""use":"enc","kid""#),
        ] {
            #expect(throws: KeySetError.self, "\(text.prefix(60))") { try keys(text) }
        }
        // A point that is not on its curve.
        let zero = String(repeating: "A", count: 42) + "E"
        #expect(throws: KeySetError.self) {
            try keys(#"{"keys":[{"kty":"EC","crv":"P-256","x":"\#(zero)","y":"\#(zero)"}]}"#)
        }
    }

    @Test("Base64 of URLs is read strictly")
    func base64() {
        #expect(Base64URL.decode("aGk".utf8) == Array("hi".utf8))
        #expect(Base64URL.decode("-_8".utf8) == [0xFB, 0xFF])
        for bad in ["a", "aGk=", "aG k", "a+/b", "aGl", "aGkAA"] {
            #expect(Base64URL.decode(bad.utf8) == nil, "\(bad)")
        }
    }
}

@Suite("Token fuzz")
struct TokenFuzzTests {
    @Test("no damaged token is ever taken for another than it is")
    func tokens() throws {
        let keys = try KeySet(Array(TokenVectors.keys.utf8))
        let good = Set(TokenVectors.tokens.values)
        let verifier = TokenVerifier(TokenPolicy(issuer: "https://idp"))
        fuzz("JWT", seeds: good.map { Array($0.utf8) }) { bytes in
            _ = TokenVerifier.issuer(bytes)
            _ = try verifier.verify(bytes, with: keys, now: 1_800_000_000)
            #expect(good.contains(String(decoding: bytes, as: UTF8.self)), "\(bytes)")
        }
    }

    @Test("damaged key sets are refused or read within their bounds")
    func keySets() {
        fuzz("JWKS", seeds: [Array(TokenVectors.keys.utf8)]) { bytes in
            let keys = try KeySet(bytes)
            #expect(keys.keys.count <= KeySet.keysMax)
        }
    }
}
