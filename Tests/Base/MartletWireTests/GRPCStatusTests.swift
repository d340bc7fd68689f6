// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletWire
internal import Testing

@Suite("gRPC status")
struct GRPCStatusTests {
    @Test("a message is percent-encoded where it is not plain ASCII")
    func encoding() {
        #expect(GRPCStatus(.internal, "plain text").encodedMessage == "plain text")
        #expect(GRPCStatus(.internal, "50% ü\n").encodedMessage == "50%25 %C3%BC%0A")
        #expect(GRPCStatus(.internal, "").encodedMessage == "")
    }

    @Test("an over-long message is cut between characters")
    func cut() {
        let encoded = GRPCStatus(.internal, String(repeating: "ü", count: 5_000)).encodedMessage
        #expect(encoded.utf8.count <= 4_096)
        #expect(encoded.hasSuffix("%C3%BC"))
    }
}
