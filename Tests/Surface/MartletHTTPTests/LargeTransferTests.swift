// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletHTTP
internal import MartletJSON
internal import MartletTesting
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

    @Test("reads a large JSON request without holding up other connections of its loop")
    func largeJSON() async throws {
        try await RunningServer.with { running in
            let count = 5_000_000
            let head = #"{"inputs":[{"name":"a","datatype":"FP32","shape":[\#(count)],"data":[1.5"#
            var body = Array(head.utf8)
            let number = Array(",2.5".utf8)
            for _ in 1..<count { body += number }
            body += Array("]}]}".utf8)
            let other = try running.client()
            #expect(try other.get("/v2/health/live").status == 200)
            let busy = try running.client()
            let clock = ContinuousClock()
            let start = clock.now
            try busy.send(
                Array(
                    ("POST /v2/models/slow/infer HTTP/1.1\r\nHost: a\r\nContent-Length: "
                        + "\(body.count)\r\n\r\n").utf8) + body)
            var slowest = Duration.zero
            var turns = 0
            while running.host.waitingCount == 0, turns < 100_000 {
                let asked = clock.now
                #expect(try other.get("/v2/health/live").status == 200)
                slowest = max(slowest, asked.duration(to: clock.now))
                turns += 1
            }
            let whole = start.duration(to: clock.now)
            #expect(running.host.waitingCount == 1)
            running.host.answerWaiting()
            let asked = clock.now
            #expect(try other.get("/v2/health/live").status == 200)
            slowest = max(slowest, asked.duration(to: clock.now))
            let answer = try busy.response()
            #expect(answer.status == 200)
            #expect(answer.body.count > 20_000_000)
            // Reading it on the loop would hold up one of them for nearly all of that time.
            #expect(slowest < max(whole / 2, .milliseconds(50)), "\(slowest) of \(whole)")
        }
    }

    @Test("answers pipelined requests in order, small and large, in few pieces and many")
    func pipelined() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let get = Array("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
            var all: [UInt8] = []
            for _ in 0..<200 { all += get }
            all += request(300_000, close: false)
            for _ in 0..<50 { all += get }
            try client.send(all)
            for _ in 0..<200 { #expect(try client.response().text == "ok\n") }
            let large = try client.response()
            #expect(large.status == 200)
            #expect(large.body.suffix(1_200_000).allSatisfy { $0 == 7 })
            for _ in 0..<50 { #expect(try client.response().text == "ok\n") }
        }
    }
}
