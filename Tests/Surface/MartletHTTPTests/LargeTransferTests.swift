// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletHTTP
internal import MartletJSON
internal import MartletWire
internal import Testing

@Suite("Large transfers", .serialized)
struct LargeTransferTests {
    private func request(_ count: Int, close: Bool) -> [UInt8] {
        let head =
            #"{"inputs":[{"name":"a","datatype":"FP32","shape":[\#(count)],"parameters":"#
            + #"{"binary_data_size":\#(4 * count)}}],"parameters":{"binary_data_output":true}}"#
        let text =
            "POST /v2/models/echo/infer HTTP/1.1\r\nHost: a\r\n"
            + (close ? "Connection: close\r\n" : "")
            + "Content-Length: \(head.utf8.count + 4 * count)\r\n"
            + "Inference-Header-Content-Length: \(head.utf8.count)\r\n\r\n"
        return Array(text.utf8) + Array(head.utf8) + [UInt8](repeating: 7, count: 4 * count)
    }

    @Test(
        "sends all of a large answer to a client that is slow to take it", arguments: [true, false])
    func slowReader(close: Bool) async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            try client.send(request(2_000_000, close: close))
            try await Task.sleep(for: .milliseconds(200))
            let answer = try client.response()
            #expect(answer.status == 200)
            #expect(answer.body.suffix(8_000_000).allSatisfy { $0 == 7 })
            if close {
                #expect(client.isClosed())
            } else {
                #expect(try client.get("/healthz").status == 200)
            }
        }
    }

    @Test("cuts off a client that takes nothing of its answer")
    func stuckReader() async throws {
        try await RunningServer.with({
            $0.writeTimeout = .milliseconds(100)
            $0.bytesPerSecondMin = 1 << 30
        }) { running in
            let client = try running.client()
            try client.send(request(4_000_000, close: false))
            try await Task.sleep(for: .milliseconds(600))
            #expect(throws: (any Error).self) { try client.response() }
            #expect(try running.client().get("/healthz").status == 200)
        }
    }

    @Test("refuses a body that is too large while the client is still sending it")
    func tooLarge() async throws {
        try await RunningServer.with({ $0.limits.bodyBytesMax = 1 << 20 }) { running in
            let client = try running.client()
            try? client.send(request(1_000_000, close: false))
            let answer = try client.response()
            #expect(answer.status == 413)
            #expect(try JSONValue(parsing: answer.body)["error"] != nil)
        }
    }
}
