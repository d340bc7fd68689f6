// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Logging
internal import MartletEngine
internal import MartletHTTP
internal import MartletServing
internal import MartletTesting
internal import MartletWire
internal import Testing
internal import Tracing

@Suite("HTTP spans")
struct SpanTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let caller = "00f067aa0ba902b7"
    private static let stages = ["admission", "batch", "compute", "decode", "encode", "queue"]

    /// The spans of one request, sent with a caller's trace to a server of the model `m`.
    private func spans(
        _ path: String, engine: any Engine, post target: String, _ body: String, count: Int
    ) async throws -> [RecordingTracer.Recorded] {
        let tracer = RecordingTracer()
        return try await tracer.scoped {
            var options = ServingOptions(paths: [])
            options.entries = [.init(path: path, name: "m")]
            let host = LocalModelHost(options, engine: engine)
            try await host.start()
            var router = Router()
            KServeRoutes(host, settings: ProtocolSettings()).add(to: &router)
            OpenAIRoutes(host).add(to: &router)
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let server = HTTPServer(
                configuration: HTTPServerConfiguration(host: "127.0.0.1", port: 0),
                router: router, logger: logger)
            let client = try RawClient(port: try await server.start())
            try client.send(
                "POST \(target) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n"
                    + "traceparent: 00-\(SpanTests.trace)-\(SpanTests.caller)-01\r\n\r\n\(body)")
            _ = try client.response()
            // The last span ends after the answer has left.
            func own() -> [RecordingTracer.Recorded] {
                tracer.spans.filter { $0.ids.trace == SpanTests.trace }
            }
            for _ in 0..<500 where own().count < count {
                try await Task.sleep(for: .milliseconds(10))
            }
            await server.stop()
            return own()
        }
    }

    /// Checks that all stages are there once, inside the request's span, itself the caller's child.
    private func check(
        _ spans: [RecordingTracer.Recorded], route: String, more: [String] = []
    ) throws {
        let request = try #require(spans.first { $0.kind == .server })
        #expect(request.name == "POST \(route)")
        #expect(request.parent?.span == SpanTests.caller)
        #expect(request.attributes.get("http.route") == .string(route))
        #expect(request.attributes.get("http.response.status_code") == .int64(200))
        let stages = spans.filter { $0.kind == .internal }
        #expect(stages.map(\.name).sorted() == (SpanTests.stages + more).sorted())
        #expect(spans.count == stages.count + 1)
        for stage in stages {
            #expect(stage.parent == request.ids, "\(stage.name)")
            #expect(stage.errors.isEmpty && stage.start <= stage.end, "\(stage.name)")
        }
        for stage in stages where ["queue", "batch", "compute"].contains(stage.name) {
            #expect(stage.attributes.get("martlet.model.name") == .string("m"))
            #expect(stage.attributes.get("martlet.model.version") == .string("1"))
            #expect(stage.attributes.get("martlet.batch.rows") == .int64(1))
        }
        let admission = try #require(stages.first { $0.name == "admission" })
        #expect(admission.attributes.get("martlet.model.name") == .string("m"))
    }

    private static let inference =
        #"{"inputs":[{"name":"INPUT","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}"#

    @Test("one inference has a span for each stage, in the caller's trace")
    func inference() async throws {
        let folder = try TestFolder()
        try folder.write("echo.onnx", "")
        let spans = try await spans(
            folder.path + "/echo.onnx", engine: TestEngine.echo(), post: "/v2/models/m/infer",
            SpanTests.inference, count: 7)
        try check(spans, route: "/v2/models/:model/infer")
    }

    @Test("one embedding has a span for each stage, in the caller's trace")
    func embedding() async throws {
        let folder = try TestFolder()
        try TinyEncoder().write(to: folder)
        let spans = try await spans(
            folder.path, engine: NativeEngine(), post: "/v1/embeddings",
            #"{"model":"m","input":"hello world"}"#, count: 8)
        try check(spans, route: "/v1/embeddings", more: ["tokenize"])
    }

    @Test("a refused request's admission says why")
    func refusal() async throws {
        let folder = try TestFolder()
        try folder.write("echo.onnx", "")
        let spans = try await spans(
            folder.path + "/echo.onnx", engine: TestEngine.echo(), post: "/v2/models/m/infer",
            SpanTests.inference.split(separator: "INPUT").joined(separator: "OTHER"), count: 4)
        #expect(spans.map(\.name).sorted().suffix(3) == ["admission", "decode", "encode"])
        let admission = try #require(spans.first { $0.name == "admission" })
        #expect(admission.status?.code == .error)
        #expect(admission.errors.first?.contains("OTHER") == true, "\(admission.errors)")
    }

    @Test("headers that are no trace start a new one", arguments: ["", "00-1-2-3", "garbage"])
    func malformed(header: String) async throws {
        let tracer = RecordingTracer()
        try await tracer.scoped {
            var router = Router()
            router.on(.get, "/a") { request, responder in responder.complete(.json([0x30])) }
            let server = HTTPServer(
                configuration: HTTPServerConfiguration(host: "127.0.0.1", port: 0),
                router: router, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let client = try RawClient(port: try await server.start())
            try client.send("GET /a HTTP/1.1\r\nHost: a\r\ntraceparent: \(header)\r\n\r\n")
            #expect(try client.response().status == 200)
            await server.stop()
        }
        #expect(tracer.spans.map(\.name) == ["GET /a"])
        #expect(tracer.spans.first?.parent == nil)
    }
}
