// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletHTTP
internal import MartletTesting
internal import MartletJSON
internal import MartletWire
internal import Testing

@Suite("HTTP server", .serialized)
struct HTTPServerTests {
    private let inferSlow = "/v2/models/slow/infer"
    private let smallBody =
        #"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1.5]}]}"#

    @Test("answers on one connection, pipelined, HEAD, unknown routes and methods")
    func basics() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let live = try client.get("/v2/health/live", headers: "X-Request-Id: abc-1\r\n")
            #expect(live.status == 200)
            #expect(live.body.isEmpty)
            #expect(live.fields["x-request-id"] == "abc-1")
            #expect(live.fields["date"]?.hasSuffix("GMT") == true)
            try client.send(
                "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
                    + "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.response().text == "ok\n")
            let head = try client.response(hasBody: false)
            #expect(head.status == 200)
            #expect(head.fields["content-length"] != "0")
            #expect(try client.response().text == "up 1\n")
            #expect(try client.get("/nowhere").status == 404)
            let wrong = try client.post("/v2/health/live", "")
            #expect(wrong.status == 405)
            #expect(wrong.fields["allow"] == "GET, HEAD")
            #expect(try client.get("/healthz", headers: "Connection: close\r\n").status == 200)
            #expect(client.isClosed())
        }
    }

    @Test("refuses what it cannot understand and goes on serving others")
    func malformed() async throws {
        try await RunningServer.with({ $0.limits.bodyBytesMax = 1000 }) { running in
            for (text, status) in [
                ("GET / HTTP/1.1\r\n\r\n", 400), ("nonsense\r\n\r\n", 400),
                ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n", 413),
                ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFF\r\n", 413),
                ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ] {
                let client = try running.client()
                try client.send(text)
                let response = try client.response()
                #expect(response.status == status, "\(text)")
                #expect(response.fields["connection"] == "close")
                #expect(try JSONValue(parsing: response.body)["error"]?.stringValue != nil)
                #expect(client.isClosed())
            }
            #expect(try running.client().get("/healthz").status == 200)
        }
    }

    @Test("asks for the body of a client that waits to continue")
    func expectContinue() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            try client.send(
                "POST /v2/models/echo/infer HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                    + "Content-Length: \(smallBody.utf8.count)\r\n\r\n")
            #expect(try client.response().status == 100)
            try client.send(smallBody)
            #expect(try client.response().status == 200)
        }
    }

    @Test("takes chunked and compressed bodies, and compresses when asked")
    func bodies() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            var chunked =
                "POST /v2/models/echo/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            for byte in smallBody.utf8 { chunked += "1\r\n\(Character(Unicode.Scalar(byte)))\r\n" }
            try client.send(chunked + "0\r\n\r\n")
            #expect(try client.response().status == 200)
            var deflater = try Deflater(.gzip)
            var packed: [UInt8] = []
            try unsafe Array(smallBody.utf8).withUnsafeBytes {
                try unsafe deflater.deflate($0, isLast: true, appendingTo: &packed)
            }
            let answer = try client.post(
                "/v2/models/echo/infer", packed,
                headers: "Content-Encoding: gzip\r\nAccept-Encoding: gzip\r\n")
            #expect(answer.status == 200)
            #expect(answer.fields["content-encoding"] == "gzip")
            var inflater = try Inflater(.gzip, outputBytesMax: 10_000)
            var text: [UInt8] = []
            try unsafe answer.body.withUnsafeBytes {
                try unsafe inflater.inflate($0, appendingTo: &text)
            }
            let outputs = try JSONValue(parsing: text)["outputs"]
            #expect(outputs?[0]?["data"]?[0]?.doubleValue == 1.5)
            let broken = try client.post(
                "/v2/models/echo/infer", "plain", headers: "Content-Encoding: gzip\r\n")
            #expect(broken.status == 400)
            let unknown = try client.post(
                "/v2/models/echo/infer", "plain", headers: "Content-Encoding: br\r\n")
            #expect(unknown.status == 415)
        }
    }

    @Test("cancels the request of a client that goes away")
    func clientGone() async throws {
        try await RunningServer.with { running in
            do {
                let client = try running.client()
                try client.send(
                    "POST \(inferSlow) HTTP/1.1\r\nHost: a\r\nContent-Length: "
                        + "\(smallBody.utf8.count)\r\n\r\n\(smallBody)")
                #expect(try await running.eventually { running.host.waitingCount == 1 })
                #expect(running.host.cancelledCount == 0)
            }
            #expect(try await running.eventually { running.host.cancelledCount == 1 })
            running.host.answerWaiting()
            #expect(try running.client().get("/healthz").status == 200)
        }
    }

    @Test("answers a half-closed client when told to")
    func halfClosed() async throws {
        try await RunningServer.with({ $0.answersHalfClosed = true }) { running in
            let client = try running.client()
            try client.send(
                "POST \(inferSlow) HTTP/1.1\r\nHost: a\r\nContent-Length: "
                    + "\(smallBody.utf8.count)\r\n\r\n\(smallBody)")
            client.endInput()
            #expect(try await running.eventually { running.host.waitingCount == 1 })
            try await Task.sleep(for: .milliseconds(50))
            #expect(running.host.cancelledCount == 0)
            running.host.answerWaiting()
            #expect(try client.response().status == 200)
            #expect(client.isClosed())
        }
    }

    @Test("gives up on slow heads, slow bodies and idle connections")
    func slowClients() async throws {
        try await RunningServer.with({
            $0.headerTimeout = .milliseconds(150)
            $0.bodyTimeout = .milliseconds(150)
            $0.idleTimeout = .milliseconds(150)
        }) { running in
            let head = try running.client()
            try head.send("GET / HT")
            #expect(try head.response().status == 408)
            let body = try running.client()
            try body.send("POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            #expect(try body.response().status == 408)
            let idle = try running.client()
            #expect(idle.isClosed())
        }
    }

    @Test("refuses connections beyond the bound")
    func connectionBound() async throws {
        try await RunningServer.with({ $0.connectionCountMax = 2 }) { running in
            let first = try running.client()
            #expect(try first.get("/healthz").status == 200)
            let second = try running.client()
            #expect(try second.get("/healthz").status == 200)
            let third = try running.client()
            #expect(try third.response().status == 503)
            #expect(third.isClosed())
            #expect(try first.get("/healthz").status == 200)
        }
    }

    @Test("finishes what is in flight before it stops, and takes nothing new")
    func drain() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let idle = try running.client()
            #expect(try idle.get("/healthz").status == 200)
            try client.send(
                "POST \(inferSlow) HTTP/1.1\r\nHost: a\r\nContent-Length: "
                    + "\(smallBody.utf8.count)\r\n\r\n\(smallBody)")
            #expect(try await running.eventually { running.host.waitingCount == 1 })
            async let stopped: Void = running.server.stop()
            #expect(idle.isClosed())
            #expect(throws: (any Error).self) { try running.client().get("/healthz") }
            running.host.answerWaiting()
            let response = try client.response()
            #expect(response.status == 200)
            #expect(response.fields["connection"] == "close")
            await stopped
        }
    }

    @Test("holds pipelined requests back while one is being answered, in order")
    func pipelining() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let post =
                "POST \(inferSlow) HTTP/1.1\r\nHost: a\r\nContent-Length: "
                + "\(smallBody.utf8.count)\r\n\r\n\(smallBody)"
            try client.send(post + post + "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await running.eventually { running.host.waitingCount == 1 })
            try await Task.sleep(for: .milliseconds(30))
            #expect(running.host.waitingCount == 1)
            running.host.answerWaiting()
            #expect(try client.response().status == 200)
            #expect(try await running.eventually { running.host.waitingCount == 1 })
            running.host.answerWaiting()
            #expect(try client.response().status == 200)
            #expect(try client.response().text == "ok\n")
        }
    }

    @Test("says which address it cannot have")
    func portInUse() async throws {
        try await RunningServer.with { running in
            let second = HTTPServer(
                configuration: HTTPServerConfiguration(host: "127.0.0.1", port: running.port),
                router: Router())
            let error = await #expect(throws: HTTPError.self) { try await second.start() }
            #expect(error?.code == .cannotListen)
            #expect(
                error?.message
                    == "HTTP cannot listen on 127.0.0.1:\(running.port): the port is already in use "
                    + "by another process")
            var elsewhere = HTTPServerConfiguration(host: "192.0.2.1", port: 0)
            elsewhere.door = "metrics"
            let third = HTTPServer(configuration: elsewhere, router: Router())
            let foreign = await #expect(throws: HTTPError.self) { try await third.start() }
            #expect(
                foreign?.message
                    == "metrics cannot listen on 192.0.2.1:0: no interface of this machine has this "
                    + "address")
        }
    }
}
