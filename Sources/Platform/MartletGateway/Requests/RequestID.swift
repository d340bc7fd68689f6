// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// A request's id as its `X-Request-Id` has it: the client's own when it is well formed, or else 64
/// random bits as 16 hexadecimal digits.
package enum RequestID {
    package static let bytesMax = 128

    /// Letters, digits and `-_.:/+=@~`, at most 128 of them: what logs, headers and addresses can
    /// hold as it stands.
    package static func isWellFormed(_ bytes: some Collection<UInt8>) -> Bool {
        guard !bytes.isEmpty, bytes.count <= bytesMax else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "/"), UInt8(ascii: "+"),
                UInt8(ascii: "="), UInt8(ascii: "@"), UInt8(ascii: "~"):
                true
            default: false
            }
        }
    }

    /// What a client's own id is remembered by: nobody else's of the same text is the same.
    package static func number(_ text: String, of key: String?) -> UInt64 {
        StableHash.hash(text, salt: StableHash.salt("request-id/\(key ?? "")"))
    }

    /// The number that the gateway made and wrote so; nil for ids of clients.
    package static func number(made text: String) -> UInt64? {
        guard text.utf8.count == 16,
            text.utf8.allSatisfy({
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            })
        else { return nil }
        return UInt64(text, radix: 16)
    }
}
