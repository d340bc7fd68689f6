// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletHTTP
internal import MartletTesting
internal import MartletWire
internal import Testing

@Suite("Bodies in flight", .serialized)
struct BodyBudgetTests {
    /// A server that may hold 100 000 bytes of bodies, and 64 000 of one.
    private func serving(_ body: (RunningServer) async throws -> Void) async throws {
        try await RunningServer.with {
            $0.limits.bodyBytesMax = 64_000
            $0.bodiesBytesMax = 100_000
        } _: {
            try await body($0)
        }
    }

    private func json(_ byteCount: Int) -> String {
        let text = #"{"inputs":[{"name":"a","datatype":"FP32","shape":[1],"data":[1]}]}"#
        return text + String(repeating: " ", count: byteCount - text.utf8.count)
    }

    private func head(_ length: Int, _ more: String = "", model: String = "slow") -> String {
        "POST /v2/models/\(model)/infer HTTP/1.1\r\nHost: a\r\n\(more)"
            + "Content-Length: \(length)\r\n\r\n"
    }

    @Test("a body too many is told to come back, and small ones are always taken")
    func refuses() async throws {
        try await serving { running in
            let first = try running.client()
            try first.send(head(60_000) + json(60_000))
            #expect(try await running.eventually { running.host.waitingCount == 1 })
            #expect(running.server.heldBodyBytes == 60_000)
            let second = try running.client()
            // Refused by its head: the client need not send the body.
            try second.send(head(50_000, "Expect: 100-continue\r\n"))
            let refusal = try second.response()
            #expect(refusal.status == 503)
            #expect(refusal.fields["retry-after"] == "1")
            #expect(refusal.fields["connection"] == "close")
            #expect(refusal.text.contains("too many bytes"))
            let small = try running.client()
            #expect(try small.post("/v2/models/echo/infer", json(4_000)).status == 200)
            #expect(try small.post("/v2/models/echo/infer", json(30_000)).status == 200)
            running.host.answerWaiting()
            #expect(try first.response().status == 200)
            #expect(running.server.heldBodyBytes == 0)
            #expect(try small.post("/v2/models/echo/infer", json(50_000)).status == 200)
        }
    }

    @Test("OpenAI's clients read the refusal in their own form")
    func openAI() async throws {
        try await serving { running in
            let first = try running.client()
            try first.send(head(60_000) + json(60_000))
            #expect(try await running.eventually { running.host.waitingCount == 1 })
            let refusal = try running.client().post("/v1/embeddings", json(50_000))
            #expect(refusal.status == 503)
            #expect(refusal.text.contains(#""error":{"#))
            running.host.answerWaiting()
        }
    }

    @Test("clients that go away, errors and unknown paths leave nothing counted")
    func frees() async throws {
        try await serving { running in
            do {
                let gone = try running.client()
                try gone.send(head(60_000) + "half a body")
                #expect(try await running.eventually { running.server.heldBodyBytes == 60_000 })
            }
            #expect(try await running.eventually { running.server.heldBodyBytes == 0 })
            do {
                let gone = try running.client()
                try gone.send(head(60_000) + json(60_000))
                #expect(try await running.eventually { running.host.waitingCount == 1 })
            }
            // Its handler still has it.
            #expect(try await running.eventually { running.host.cancelledCount == 1 })
            #expect(running.server.heldBodyBytes == 60_000)
            running.host.answerWaiting()
            #expect(running.server.heldBodyBytes == 0)
            let client = try running.client()
            #expect(try client.post("/nothing", json(60_000)).status == 404)
            #expect(try client.post("/v2/models/echo/infer", "[" + json(60_000)).status == 400)
            #expect(running.server.heldBodyBytes == 0)
        }
    }

    @Test("what comes in chunks or compressed is counted as it grows")
    func grows() async throws {
        try await serving { running in
            let chunked = try running.client()
            try chunked.send(
                "POST /v2/models/slow/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "7530\r\n" + json(30_000) + "\r\n0\r\n\r\n")
            #expect(try await running.eventually { running.host.waitingCount == 1 })
            let held = running.server.heldBodyBytes
            #expect((25_904...60_000).contains(held))
            let other = try running.client()
            try other.send(head(60_000) + json(60_000))
            #expect(try await running.eventually { running.host.waitingCount == 2 })
            let third = try running.client()
            try third.send(
                "POST /v2/models/slow/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "7530\r\n" + json(30_000) + "\r\n0\r\n\r\n")
            #expect(try third.response().status == 503)
            var packed: [UInt8] = []
            var deflater = try Deflater(.gzip)
            try unsafe Array(json(40_000).utf8).withUnsafeBytes {
                try unsafe deflater.deflate($0, isLast: true, appendingTo: &packed)
            }
            #expect(packed.count < 4_096)
            let small = try running.client().post(
                "/v2/models/echo/infer", packed, headers: "Content-Encoding: gzip\r\n")
            #expect(small.status == 503)
            #expect(small.fields["retry-after"] == "1")
            running.host.answerWaiting()
            #expect(try chunked.response().status == 200)
            #expect(try other.response().status == 200)
            #expect(running.server.heldBodyBytes == 0)
            let again = try running.client().post(
                "/v2/models/echo/infer", packed, headers: "Content-Encoding: gzip\r\n")
            #expect(again.status == 200)
            #expect(running.server.heldBodyBytes == 0)
        }
    }
}
