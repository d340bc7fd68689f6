// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletSignatures

/// How a signature was made.
package enum SignatureScheme: Sendable, Hashable {
    package enum Hash: Int, Sendable { case sha256 = 256, sha384 = 384, sha512 = 512 }

    /// RSASSA-PKCS1-v1_5.
    case rsa(Hash)
    /// RSASSA-PSS, the salt as long as the digest.
    case rsaPSS(Hash)
    /// On P-256 with SHA-256, on P-384 with SHA-384; the signature is r and s one after the other.
    case ecdsa
    case ed25519
}

/// A public key that signatures are checked with (libcrypto).
///
/// Only keys that are worth it: RSA from 2 048 to 16 384 bits, P-256, P-384, Ed25519. A scheme of
/// another kind of key verifies nothing.
@safe package final class PublicKey: Sendable {
    package enum Kind: Sendable, Hashable { case rsa, p256, p384, ed25519 }

    package let kind: Kind
    // Never changed after init; libcrypto counts references to it atomically.
    private nonisolated(unsafe) let handle: OpaquePointer

    private init?(_ kind: Kind, der: [UInt8]) {
        let found = unsafe der.withUnsafeBufferPointer {
            unsafe martlet_public_key($0.baseAddress, $0.count)
        }
        guard let found = unsafe found else { return nil }
        self.kind = kind
        unsafe handle = found
    }

    deinit { unsafe EVP_PKEY_free(handle) }

    /// Both numbers big-endian.
    package convenience init?(rsaModulus modulus: [UInt8], exponent: [UInt8]) {
        let modulus = Array(modulus.drop { $0 == 0 })
        let exponent = Array(exponent.drop { $0 == 0 })
        guard (256...2_048).contains(modulus.count), modulus[0] >= 0x80,
            (1...8).contains(exponent.count), exponent != [1], exponent.last.map({ $0 & 1 }) == 1
        else { return nil }
        let numbers = DER.sequence(DER.integer(modulus) + DER.integer(exponent))
        // rsaEncryption, with NULL parameters.
        let algorithm = DER.sequence(
            [0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00])
        self.init(.rsa, der: DER.sequence(algorithm + DER.bits(numbers)))
    }

    /// A point of P-256 or P-384; refused when it is not on the curve.
    package convenience init?(curve kind: Kind, x: [UInt8], y: [UInt8]) {
        let count: Int
        let curve: [UInt8]
        switch kind {
        case .p256:
            (count, curve) = (32, [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07])
        case .p384: (count, curve) = (48, [0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22])
        case .rsa, .ed25519: return nil
        }
        guard x.count == count, y.count == count else { return nil }
        // id-ecPublicKey, on that curve.
        let algorithm = DER.sequence(
            [0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01] + curve)
        self.init(kind, der: DER.sequence(algorithm + DER.bits([0x04] + x + y)))
    }

    package convenience init?(ed25519 point: [UInt8]) {
        guard point.count == 32 else { return nil }
        let algorithm = DER.sequence([0x06, 0x03, 0x2B, 0x65, 0x70])
        self.init(.ed25519, der: DER.sequence(algorithm + DER.bits(point)))
    }

    /// Whether the signature was made with this key over that message. About 30 µs for RSA, 100 µs
    /// for the others.
    package func verifies(
        _ signature: [UInt8], of message: some Collection<UInt8>, _ scheme: SignatureScheme
    ) -> Bool {
        var signature = signature
        let bits: Int
        var isPSS = false
        switch (scheme, kind) {
        case (.rsa(let hash), .rsa): bits = hash.rawValue
        case (.rsaPSS(let hash), .rsa):
            bits = hash.rawValue
            isPSS = true
        case (.ecdsa, .p256), (.ecdsa, .p384):
            let count = kind == .p256 ? 32 : 48
            guard signature.count == 2 * count else { return false }
            bits = kind == .p256 ? 256 : 384
            signature = DER.sequence(
                DER.integer(Array(signature[..<count])) + DER.integer(Array(signature[count...])))
        case (.ed25519, .ed25519): bits = 0
        default: return false
        }
        let message = Array(message)
        return unsafe signature.withUnsafeBufferPointer { signature in
            unsafe message.withUnsafeBufferPointer { message in
                unsafe martlet_verifies(
                    handle, CInt(bits), isPSS ? 1 : 0, signature.baseAddress, signature.count,
                    message.baseAddress, message.count) == 1
            }
        }
    }
}

/// The little of DER that keys and signatures need (X.690).
private enum DER {
    static func sequence(_ contents: [UInt8]) -> [UInt8] { tagged(0x30, contents) }
    static func bits(_ contents: [UInt8]) -> [UInt8] { tagged(0x03, [0] + contents) }

    /// A number that is not negative, big-endian.
    static func integer(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array(bytes.drop { $0 == 0 })
        guard let first = digits.first else { return tagged(0x02, [0]) }
        return tagged(0x02, first >= 0x80 ? [0] + digits : digits)
    }

    private static func tagged(_ tag: UInt8, _ contents: [UInt8]) -> [UInt8] {
        switch contents.count {
        case ..<0x80: return [tag, UInt8(contents.count)] + contents
        case ..<0x100: return [tag, 0x81, UInt8(contents.count)] + contents
        default:
            return [
                tag, 0x82, UInt8(truncatingIfNeeded: contents.count >> 8),
                UInt8(truncatingIfNeeded: contents.count),
            ] + contents
        }
    }
}

/// Who a certificate says it is for.
package enum CertificateNames {
    private static let bytesMax = 16 << 10

    /// `CN=…`, `DNS:…`, `URI:…` and `email:…` of a certificate in DER; empty for anything else.
    /// Names with control characters are left out.
    package static func read(_ der: [UInt8]) -> [String] {
        let text = unsafe [UInt8](unsafeUninitializedCapacity: bytesMax) { buffer, count in
            count = unsafe der.withUnsafeBufferPointer { der in
                unsafe buffer.withMemoryRebound(to: CChar.self) {
                    unsafe martlet_certificate_names(
                        der.baseAddress, der.count, $0.baseAddress, bytesMax)
                }
            }
        }
        return text.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
    }
}
