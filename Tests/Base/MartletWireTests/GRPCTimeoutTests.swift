// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Testing

internal import MartletWire

@Suite("gRPC timeouts")
struct GRPCTimeoutTests {
    @Test("units and limits are those of the specification")
    func units() {
        #expect(GRPCTimeout.parse("1H") == .seconds(3_600))
        #expect(GRPCTimeout.parse("2M") == .seconds(120))
        #expect(GRPCTimeout.parse("3S") == .seconds(3))
        #expect(GRPCTimeout.parse("99999999m") == .milliseconds(99_999_999))
        #expect(GRPCTimeout.parse("5u") == .microseconds(5))
        #expect(GRPCTimeout.parse("7n") == .nanoseconds(7))
    }

    @Test(
        "anything else is malformed",
        arguments: ["", "S", "1", "1s", "-1S", "+1S", "123456789S", "1 S", "1.5S"])
    func malformed(text: String) {
        #expect(GRPCTimeout.parse(text) == nil)
    }
}
