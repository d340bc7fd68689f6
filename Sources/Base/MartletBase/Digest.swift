// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletCrypto

/// A SHA-256 digest: 32 bytes.
public struct Digest: Sendable, Hashable, CustomStringConvertible {
    public static let byteCount = 32
    private var storage: InlineArray<32, UInt8>

    init(_ storage: InlineArray<32, UInt8>) {
        self.storage = storage
    }

    /// The digest that 64 hexadecimal digits of either case spell; nil for anything else.
    public init?(hexadecimal text: String) {
        let digits = Array(text.utf8)
        guard digits.count == 2 * Digest.byteCount else { return nil }
        storage = InlineArray(repeating: 0)
        for index in 0..<Digest.byteCount {
            guard let high = Self.nibble(digits[2 * index]),
                let low = Self.nibble(digits[2 * index + 1])
            else { return nil }
            storage[index] = high << 4 | low
        }
    }

    /// SHA-256 of one run of bytes.
    public static func sha256(_ bytes: UnsafeRawBufferPointer) -> Digest {
        var hasher = SHA256Hasher()
        unsafe hasher.update(bytes)
        return hasher.finish()
    }

    /// SHA-256 of an array.
    public static func sha256(_ bytes: [UInt8]) -> Digest {
        unsafe bytes.withUnsafeBytes { unsafe sha256($0) }
    }

    public var bytes: [UInt8] { (0..<Digest.byteCount).map { storage[$0] } }

    /// 64 lower-case hexadecimal digits.
    public var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(2 * Digest.byteCount)
        for index in 0..<Digest.byteCount {
            text.append(digits[Int(storage[index] >> 4)])
            text.append(digits[Int(storage[index] & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    public var description: String { hexadecimal }

    /// Equality whose time does not tell where the digests differ: comparing secrets is safe.
    public static func == (left: Digest, right: Digest) -> Bool {
        var difference: UInt8 = 0
        for index in 0..<Digest.byteCount {
            difference |= left.storage[index] ^ right.storage[index]
        }
        return difference == 0
    }

    public func hash(into hasher: inout Hasher) {
        for index in 0..<Digest.byteCount { hasher.combine(storage[index]) }
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// SHA-256 over bytes that arrive in pieces (OpenSSL's implementation).
@safe public struct SHA256Hasher: ~Copyable {
    private let context: OpaquePointer

    public init() {
        guard let context = unsafe EVP_MD_CTX_new() else {
            preconditionFailure("no memory for a digest")
        }
        unsafe self.context = context
        let isReady = unsafe EVP_DigestInit_ex(context, EVP_sha256(), nil)
        precondition(isReady == 1, "libcrypto offers no SHA-256")
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
    }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0 else { return }
        let isDone = unsafe EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
        precondition(isDone == 1, "libcrypto failed to digest")
    }

    public consuming func finish() -> Digest {
        var output = [UInt8](repeating: 0, count: Digest.byteCount)
        let isDone = unsafe EVP_DigestFinal_ex(context, &output, nil)
        precondition(isDone == 1, "libcrypto failed to digest")
        var storage = InlineArray<32, UInt8>(repeating: 0)
        for index in 0..<Digest.byteCount { storage[index] = output[index] }
        return Digest(storage)
    }
}
