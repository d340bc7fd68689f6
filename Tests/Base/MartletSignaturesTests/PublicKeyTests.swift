// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletSignatures
internal import MartletTesting
internal import Testing

@Suite("PublicKey")
struct PublicKeyTests {
    private func bytes(_ digits: String) -> [UInt8] {
        stride(from: 0, to: digits.utf8.count, by: 2).compactMap { place in
            UInt8(digits.dropFirst(place).prefix(2), radix: 16)
        }
    }

    @Test("Ed25519: the second vector of RFC 8032, and nothing but it")
    func ed25519() throws {
        let key = try #require(
            PublicKey(
                ed25519: bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")))
        let signature = bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
        #expect(key.verifies(signature, of: [0x72], .ed25519))
        #expect(!key.verifies(signature, of: [0x73], .ed25519))
        #expect(!key.verifies([], of: [0x72], .ed25519))
        #expect(!key.verifies(signature, of: [0x72], .ecdsa))
        #expect(!key.verifies(signature, of: [0x72], .rsa(.sha256)))
        for place in stride(from: 0, to: signature.count, by: 7) {
            var bad = signature
            bad[place] ^= 1
            #expect(!key.verifies(bad, of: [0x72], .ed25519))
        }
    }

    @Test("keys of the wrong size, off their curve or too weak are none")
    func refused() {
        #expect(PublicKey(ed25519: [UInt8](repeating: 1, count: 31)) == nil)
        let ones = [UInt8](repeating: 1, count: 32)
        #expect(PublicKey(curve: .p256, x: ones, y: ones) == nil)
        #expect(PublicKey(curve: .p384, x: ones, y: ones) == nil)
        #expect(PublicKey(curve: .rsa, x: ones, y: ones) == nil)
        let modulus = [UInt8](repeating: 0xFF, count: 256)
        #expect(PublicKey(rsaModulus: modulus, exponent: [1, 0, 1]) != nil)
        #expect(PublicKey(rsaModulus: Array(modulus.dropLast()), exponent: [1, 0, 1]) == nil)
        #expect(PublicKey(rsaModulus: modulus, exponent: [1]) == nil)
        #expect(PublicKey(rsaModulus: modulus, exponent: [4]) == nil)
        #expect(PublicKey(rsaModulus: modulus, exponent: []) == nil)
        #expect(PublicKey(rsaModulus: [], exponent: [3]) == nil)
        let huge = [UInt8](repeating: 0xFF, count: 2_049)
        #expect(PublicKey(rsaModulus: huge, exponent: [3]) == nil)
    }

    /// Made with openssl: CN, URI, DNS, email and an address, which is no name here.
    private static let certificate =
        "MIIB3jCCAYSgAwIBAgIUB2S5MBhvnSQjqd3QCjsdRLrWRwUwCgYIKoZIzj0EAwIwHzENMAsGA1UE"
        + "CgwEYWNtZTEOMAwGA1UEAwwFY2Fyb2wwHhcNMjYxMTIxMTMyMDIyWhcNMzYxMTE4MTMyMDIyWjAf"
        + "MQ0wCwYDVQQKDARhY21lMQ4wDAYDVQQDDAVjYXJvbDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA"
        + "BJmoxE/fxGXTP97OwQEIN1vcgnHVzErjmBcXIQIiOlk/GuW7CQwpaK20P0IGO7qqD83OSVqYttn/"
        + "a7/bCifA626jgZ0wgZowHQYDVR0OBBYEFDqq27j8Nx4vaqHHtu8YijzzZtYNMB8GA1UdIwQYMBaA"
        + "FDqq27j8Nx4vaqHHtu8YijzzZtYNMA8GA1UdEwEB/wQFMAMBAf8wRwYDVR0RBEAwPoYTc3BpZmZl"
        + "Oi8vYWNtZS9jYXJvbIINY2Fyb2wuZXhhbXBsZYESY2Fyb2xAYWNtZS5leGFtcGxlhwR/AAABMAoG"
        + "CCqGSM49BAMCA0gAMEUCIQCfSjSFn7kMgcyLjr7pChe+5avTXaII0sYiFvaBhTA6MQIgfikQjCbr"
        + "q+tSl3nN9xfuF7aDtkLDmBjNq+DpAsvKUWg="

    private static var der: [UInt8] {
        let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var bits: UInt32 = 0
        var count = 0
        var found: [UInt8] = []
        for character in certificate.utf8 {
            guard let value = alphabet.firstIndex(of: character) else { break }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                found.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return found
    }

    @Test("a certificate's names are read, and nothing out of what is none")
    func names() {
        #expect(
            CertificateNames.read(Self.der) == [
                "CN=carol", "URI:spiffe://acme/carol", "DNS:carol.example",
                "email:carol@acme.example",
            ])
        #expect(CertificateNames.read([]).isEmpty)
        #expect(CertificateNames.read(Array(Self.der.dropLast(60))).isEmpty)
    }

    @Test("fuzz: damaged certificates have names without control characters, or none")
    func namesFuzz() {
        struct Refused: Error {}
        fuzz("certificate", seeds: [Self.der]) { bytes in
            let names = CertificateNames.read(bytes)
            #expect(names.allSatisfy { $0.utf8.allSatisfy { $0 >= 0x20 } })
            if names.isEmpty { throw Refused() }
        }
    }
}
