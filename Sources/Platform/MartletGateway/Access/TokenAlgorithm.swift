// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletSignatures

/// How a token may be signed. There is no `none` and no HMAC: a public key never becomes a secret.
package enum TokenAlgorithm: String, Sendable, CaseIterable {
    case rs256 = "RS256"
    case rs384 = "RS384"
    case rs512 = "RS512"
    case ps256 = "PS256"
    case ps384 = "PS384"
    case ps512 = "PS512"
    case es256 = "ES256"
    case es384 = "ES384"
    case edDSA = "EdDSA"

    package var scheme: SignatureScheme {
        switch self {
        case .rs256: .rsa(.sha256)
        case .rs384: .rsa(.sha384)
        case .rs512: .rsa(.sha512)
        case .ps256: .rsaPSS(.sha256)
        case .ps384: .rsaPSS(.sha384)
        case .ps512: .rsaPSS(.sha512)
        case .es256, .es384: .ecdsa
        case .edDSA: .ed25519
        }
    }

    package func fits(_ key: PublicKey) -> Bool {
        switch self {
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: key.kind == .rsa
        case .es256: key.kind == .p256
        case .es384: key.kind == .p384
        case .edDSA: key.kind == .ed25519
        }
    }
}
