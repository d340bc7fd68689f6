// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletJSON
package import MartletSignatures

/// An issuer's public keys, as a JSON Web Key Set has them (RFC 7517, 7518, 8037).
package struct KeySet: Sendable {
    package struct Key: Sendable {
        package var id: String?
        /// The only algorithm that it may be used with, when it says so.
        package var algorithm: TokenAlgorithm?
        package var key: PublicKey
    }

    package static let bytesMax = 1 << 20
    package static let keysMax = 100

    package let keys: [Key]
    /// Keys that cannot be used here: of other kinds, too weak, not for signatures.
    package let skipped: Int

    /// - Throws: `KeySetError` for what is no key set, or one without a key that can be used.
    package init(_ bytes: [UInt8]) throws(KeySetError) {
        guard bytes.count <= KeySet.bytesMax else {
            throw KeySetError(message: "a key set of more than \(KeySet.bytesMax) bytes")
        }
        guard let json = try? JSONValue(parsing: bytes), let list = json["keys"]?.arrayValue else {
            throw KeySetError(message: "no JSON object with a list of keys")
        }
        keys = list.prefix(KeySet.keysMax).compactMap(KeySet.key)
        skipped = list.count - keys.count
        guard !keys.isEmpty else {
            throw KeySetError(message: "none of the \(list.count) keys can be used")
        }
    }

    private static func key(_ json: JSONValue) -> Key? {
        if let use = json["use"], use.stringValue != "sig" { return nil }
        if let uses = json["key_ops"]?.arrayValue, !uses.contains(.string("verify")) { return nil }
        var algorithm: TokenAlgorithm?
        if let name = json["alg"] {
            guard let known = name.stringValue.flatMap({ TokenAlgorithm(rawValue: $0) }) else {
                return nil
            }
            algorithm = known
        }
        if let id = json["kid"], id.stringValue == nil { return nil }
        guard let key = publicKey(json), algorithm?.fits(key) ?? true else { return nil }
        return Key(id: json["kid"]?.stringValue, algorithm: algorithm, key: key)
    }

    private static func publicKey(_ json: JSONValue) -> PublicKey? {
        func number(_ name: String) -> [UInt8]? {
            json[name]?.stringValue.flatMap { Base64URL.decode(Array($0.utf8)) }
        }
        switch json["kty"]?.stringValue {
        case "RSA":
            guard let modulus = number("n"), let exponent = number("e") else { return nil }
            return PublicKey(rsaModulus: modulus, exponent: exponent)
        case "EC":
            guard let x = number("x"), let y = number("y") else { return nil }
            switch json["crv"]?.stringValue {
            case "P-256": return PublicKey(curve: .p256, x: x, y: y)
            case "P-384": return PublicKey(curve: .p384, x: x, y: y)
            default: return nil
            }
        case "OKP":
            guard json["crv"]?.stringValue == "Ed25519", let x = number("x") else { return nil }
            return PublicKey(ed25519: x)
        default: return nil
        }
    }

    /// The keys that a token with this header may be signed with: the one it names, or without a
    /// name the only one that fits.
    func candidates(id: String?, _ algorithm: TokenAlgorithm) -> [Key] {
        let fitting = keys.filter {
            algorithm.fits($0.key) && ($0.algorithm == nil || $0.algorithm == algorithm)
        }
        guard let id else { return fitting.count == 1 ? fitting : [] }
        return fitting.filter { $0.id == id }
    }

    /// Whether a key of that name is here at all.
    func has(id: String) -> Bool { keys.contains { $0.id == id } }
}

/// Why bytes are no key set.
package struct KeySetError: Error, Sendable, Hashable, CustomStringConvertible {
    package let message: String
    package init(message: String) { self.message = message }
    package var description: String { message }
}

/// Base64 with the alphabet of URLs and without padding (RFC 4648 §5), strictly: no other
/// character, and no bits that are left over.
package enum Base64URL {
    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var bits: UInt32 = 0
        var count = 0
        for character in text {
            guard let value = value(character) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        guard bits & (1 << UInt32(count) - 1) == 0 else { return nil }
        return bytes
    }

    private static func value(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
