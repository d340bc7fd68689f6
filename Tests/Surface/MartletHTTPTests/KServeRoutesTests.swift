// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletHTTP
internal import MartletTesting
internal import MartletJSON
internal import MartletServing
internal import MartletTensor
internal import Testing

@Suite("KServe over REST", .serialized)
struct KServeRoutesTests {
    private func json(_ response: RawClient.Response) throws -> JSONValue {
        try JSONValue(parsing: response.body)
    }

    @Test("says what there is")
    func metadata() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            #expect(try json(client.get("/v2"))["extensions"]?[0] == "statistics")
            #expect(try client.get("/v2/health/ready").status == 200)
            let model = try json(client.get("/v2/models/echo"))
            #expect(
                model.description
                    == #"{"name":"echo","versions":["1"],"platform":"onnxruntime_onnx","inputs":"#
                    + #"[{"name":"INPUT0","datatype":"FP32","shape":[-1,4]}],"outputs":"#
                    + #"[{"name":"OUT_INPUT0","datatype":"FP32","shape":[-1,4]}]}"#)
            #expect(try client.get("/v2/models/echo/versions/1").status == 200)
            #expect(try client.get("/v2/models/echo/versions/x").status == 400)
            #expect(try client.get("/v2/models/none").status == 404)
            #expect(try client.get("/v2/models/echo/ready").status == 200)
            #expect(try client.get("/v2/models/gone/ready").status == 400)
            #expect(try client.get("/v2/models/none/ready").status == 400)
            let configuration = try json(client.get("/v2/models/echo/config"))
            #expect(configuration["max_batch_size"] == 8)
            #expect(configuration["input"]?[0]?["data_type"] == "TYPE_FP32")
            #expect(configuration["parameters"]?["a"]?["string_value"] == "b")
            let all = try json(client.get("/v2/models/stats"))
            #expect(all["model_stats"]?[0]?["inference_stats"]?["success"]?["ns"] == 1000)
            #expect(try client.get("/v2/models/echo/versions/1/stats").status == 200)
        }
    }

    @Test("infers from JSON")
    func jsonInference() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let answer = try client.post(
                "/v2/models/echo/infer",
                #"""
                {"id":"7","parameters":{"priority":2,"timeout":1500,"note":"x"},"inputs":[
                 {"name":"a","datatype":"FP32","shape":[2,2],"data":[[1,2.5],[3,NaN]]},
                 {"data":["x","é"],"name":"b","shape":[2],"datatype":"BYTES","parameters":{"k":true}},
                 {"name":"c","shape":[3],"datatype":"BOOL","data":[true,false,true]},
                 {"name":"d","shape":[0],"datatype":"INT64","data":[]}]}
                """#)
            #expect(answer.status == 200)
            #expect(answer.fields["content-type"] == "application/json")
            #expect(
                answer.text
                    == #"{"id":"7","model_name":"echo","model_version":"1","outputs":["#
                    + #"{"name":"OUT_a","datatype":"FP32","shape":[2,2],"data":[1.0,2.5,3.0,NaN]},"#
                    + #"{"name":"OUT_b","datatype":"BYTES","shape":[2],"data":["x","é"]},"#
                    + #"{"name":"OUT_c","datatype":"BOOL","shape":[3],"data":[true,false,true]},"#
                    + #"{"name":"OUT_d","datatype":"INT64","shape":[0],"data":[]}]}"#)
            let request = try #require(running.host.lastRequest)
            #expect(request.priority == 2)
            #expect(request.queueTimeout == .microseconds(1500))
            #expect(request.parameters["note"] == .string("x"))
        }
    }

    @Test("infers from binary tensors where they lie, aligned")
    func binaryInference() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let values: [Float] = [1, -2, 3.5, 4]
            let data = values.flatMap { value in
                (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * $0)) }
            }
            let head =
                #"{"inputs":[{"name":"a","datatype":"FP32","shape":[4],"parameters":{"binary_data_size":16}},"#
                + #"{"name":"s","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":7}},"#
                + #"{"name":"b","datatype":"FP32","shape":[4],"parameters":{"binary_data_size":16}}],"#
                + #""outputs":[{"name":"OUT_a","parameters":{"binary_data":true}},{"name":"OUT_b"}]}"#
            let text: [UInt8] = [3, 0, 0, 0] + Array("abc".utf8)
            let answer = try client.post(
                "/v2/models/echo/versions/1/infer", Array(head.utf8) + data + text + data,
                headers: "Inference-Header-Content-Length: \(head.utf8.count)\r\n")
            #expect(answer.status == 200)
            #expect(answer.fields["content-type"] == "application/octet-stream")
            let length = try #require(
                answer.fields["inference-header-content-length"].flatMap { Int($0) })
            let described = try JSONValue(parsing: Array(answer.body[..<length]))
            #expect(described["outputs"]?[0]?["parameters"]?["binary_data_size"] == 16)
            #expect(described["outputs"]?[2]?["data"]?[2] == 3.5)
            #expect(Array(answer.body[length...]) == data)
            let request = try #require(running.host.lastRequest)
            let first = request.inputs[0].tensor
            #expect(Int(bitPattern: unsafe first.bytes.baseAddress) % 64 == 0)
            let third = request.inputs[2].tensor
            #expect(Int(bitPattern: unsafe third.bytes.baseAddress) % 4 == 0)
        }
    }

    @Test("reads each of a connection's requests for what it is, however alike they are")
    func repeatedRequests() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            func form(_ name: String, type: String = "FP32", count: Int = 1) -> String {
                #"{"inputs":[{"name":"\#(name)","datatype":"\#(type)","shape":[\#(count)],"#
                    + #""parameters":{"binary_data_size":4}}],"#
                    + #""outputs":[{"name":"OUT_\#(name)","parameters":{"binary_data":true}}]}"#
            }
            func ask(_ json: String, _ data: [UInt8], to model: String = "echo") throws
                -> RawClient.Response
            {
                try client.post(
                    "/v2/models/\(model)/infer", Array(json.utf8) + data,
                    headers: "Inference-Header-Content-Length: \(json.utf8.count)\r\n")
            }
            let (json, other) = (form("a"), form("b"))
            for turn in 1...4 as ClosedRange<UInt8> {
                let data: [UInt8] = [turn, 2, 3, 4]
                let answer = try ask(json, data)
                #expect(answer.status == 200)
                #expect(Array(answer.body.suffix(4)) == data)
                #expect(answer.text.contains("OUT_a"))
            }
            // As long, with the same head, but another input; then another model's path.
            let renamed = try ask(other, [9, 9, 9, 9])
            #expect(renamed.text.contains("OUT_b"))
            #expect(try ask(json, [1, 2, 3, 4], to: "none").status == 404)
            #expect(try ask(json, [5, 6, 7, 8]).body.suffix(4) == [5, 6, 7, 8])
            // The same words over bytes that do not fit them.
            #expect(try ask(json, [1, 2, 3]).status == 400)
            #expect(try ask(json, [1, 2, 3, 4, 5]).status == 400)
            let strings = form("s", type: "BYTES")
            #expect(try ask(strings, [0, 0, 0, 0]).status == 200)
            #expect(try ask(strings, [0, 0, 0, 0]).status == 200)
            #expect(try ask(strings, [1, 0, 0, 0]).status == 400)
            #expect(try ask(json, [5, 6, 7, 8]).status == 200)
        }
    }

    @Test("takes a raw binary request")
    func rawInference() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let answer = try client.post(
                "/v2/models/echo/infer", [UInt8](repeating: 0, count: 16),
                headers: "Inference-Header-Content-Length: 0\r\n")
            #expect(answer.status == 200)
            #expect(Array(answer.body.suffix(16)) == [UInt8](repeating: 0, count: 16))
            #expect(running.host.lastRequest?.inputs[0].tensor.shape == [1, 4])
            let short = try client.post(
                "/v2/models/echo/infer", [1, 2, 3],
                headers: "Inference-Header-Content-Length: 0\r\n")
            #expect(short.status == 400)
        }
    }

    private static let refused: [(body: String, header: String, text: String)] = [
        ("", "", "ends"), ("[]", "", "object"), ("{}", "", "inputs"),
        (#"{"inputs":[}"#, "", "byte"),
        (#"{"inputs":[{"shape":[1],"datatype":"FP32","data":[1]}]}"#, "", "name"),
        (#"{"inputs":[{"name":"x","datatype":"FP32","data":[1]}]}"#, "", "shape"),
        (#"{"inputs":[{"name":"x","shape":[1],"data":[1]}]}"#, "", "datatype"),
        (#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]}"#, "", "data"),
        (#"{"inputs":[{"name":"x","shape":[1],"datatype":"F32","data":[1]}]}"#, "", "F32"),
        (#"{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[1]}]}"#, "", "expected 2"),
        (#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1,2]}]}"#, "", "more than"),
        (#"{"inputs":[{"name":"x","shape":[-1],"datatype":"FP32","data":[1]}]}"#, "", "negative"),
        (
            #"{"inputs":[{"name":"x","shape":[9999999999,9999999999],"datatype":"FP32","data":[1]}]}"#,
            "", "overflow"
        ),
        (#"{"inputs":[{"name":"x","shape":[99999999],"datatype":"FP32","data":[1]}]}"#, "", "hold"),
        (#"{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[200]}]}"#, "", "Int8"),
        (#"{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1.5]}]}"#, "", "integer"),
        (#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP16","data":[1]}]}"#, "", "FP16"),
        (
            #"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2],[3]]}]}"#, "",
            "nested"
        ),
        (
            #"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2,3,4]]}]}"#, "",
            "nested"
        ),
        (
            #"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}"#,
            "", "binary"
        ),
        (#"{"inputs":[]}   "#, "Inference-Header-Content-Length: 13\r\n", "additional"),
        (#"{"inputs":[]}"#, "Inference-Header-Content-Length: 99\r\n", "length"),
        (#"{"inputs":[]}"#, "Inference-Header-Content-Length: -1\r\n", "length"),
        (#"{"inputs":[],"parameters":{"priority":"high"}}"#, "", "priority"),
        (#"{"inputs":[],"parameters":{"p":[1]}}"#, "", "'p'"),
        (
            #"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":"#
                + #"{"shared_memory_region":"r","shared_memory_byte_size":4}}]}"#, "", "'r'"
        ),
    ]

    @Test("refuses requests that cannot be right, each with its reason", arguments: refused)
    func refusals(body: String, header: String, text: String) async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let answer = try client.post("/v2/models/echo/infer", body, headers: header)
            #expect((400...404).contains(answer.status), "\(body): \(answer.text)")
            let message = try #require(try json(answer)["error"]?.stringValue)
            #expect(message.contains(text), "\(message)")
            #expect(try client.get("/healthz").status == 200)
        }
    }

    @Test("maps the host's refusals to statuses")
    func statuses() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let body = #"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[1]}]}"#
            let full = try client.post("/v2/models/full/infer", body)
            #expect(full.status == 503)
            #expect(full.fields["retry-after"] == "3")
            #expect(try client.post("/v2/models/late/infer", body).status == 504)
            #expect(try client.post("/v2/models/none/infer", body).status == 404)
        }
    }

    @Test("changes the repository")
    func repository() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            #expect(
                try client.post("/v2/repository/index", #"{"ready":true}"#).text
                    == #"[{"name":"echo","version":"1","state":"READY","reason":""}]"#)
            #expect(try json(client.post("/v2/repository/index", ""))[1]?["reason"] == "unloaded")
            #expect(
                try client.post(
                    "/v2/repository/models/m/load",
                    #"{"parameters":{"config":"{}","file:1/model.onnx":"AAEC"}}"#
                ).status == 200)
            #expect(running.host.loadedNames == [#"m {} ["1/model.onnx": 3]"#])
            #expect(try client.post("/v2/repository/models/broken/load", "").status == 500)
            #expect(
                try client.post(
                    "/v2/repository/models/m/load", #"{"parameters":{"file:1/a":"AAEC"}}"#
                ).status == 400)
            #expect(
                try client.post(
                    "/v2/repository/models/echo/unload",
                    #"{"parameters":{"unload_dependents":true}}"#
                ).status == 200)
            #expect(try client.post("/v2/repository/models/none/unload", "{}").status == 404)
        }
    }

    @Test("keeps trace and log settings, and refuses CUDA memory clearly")
    func settings() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            #expect(try json(client.get("/v2/logging"))["log_info"] == true)
            let log = try json(
                client.post("/v2/logging", #"{"log_verbose_level":1,"log_info":false}"#))
            #expect(log["log_verbose_level"] == 1)
            #expect(log["log_info"] == false)
            #expect(try client.post("/v2/logging", #"{"log_bad":1}"#).status == 400)
            let trace = try json(
                client.post(
                    "/v2/trace/setting", #"{"trace_level":["TIMESTAMPS"],"trace_rate":"5"}"#))
            #expect(trace["trace_level"]?[0] == "TIMESTAMPS")
            #expect(trace["trace_rate"] == "5")
            #expect(try json(client.get("/v2/models/echo/trace/setting"))["trace_rate"] == "5")
            #expect(try client.get("/v2/models/none/trace/setting").status == 404)
            #expect(try client.get("/v2/systemsharedmemory/status").text == "[]")
            #expect(try client.get("/v2/cudasharedmemory/status").text == "[]")
            #expect(try client.post("/v2/cudasharedmemory/region/r/register", "{}").status == 501)
            #expect(try client.post("/v2/cudasharedmemory/unregister", "").status == 200)
            let missing = try client.post(
                "/v2/systemsharedmemory/region/r/register",
                #"{"key":"/no_such_martlet_region","offset":0,"byte_size":64}"#)
            #expect(missing.status == 400)
        }
    }
}
