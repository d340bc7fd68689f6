// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletHTTP
internal import MartletJSON
internal import Testing

@Suite("OpenAI routes", .serialized)
struct OpenAIRoutesTests {
    @Test("lists models")
    func models() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            #expect(
                try client.get("/v1/models").text
                    == #"{"object":"list","data":[{"id":"embedder","object":"model","#
                    + #""created":1700000000,"owned_by":"martlet","root":"embedder","#
                    + #""parent":null}]}"#)
            #expect(try client.get("/v1/models/embedder").status == 200)
            let missing = try client.get("/v1/models/none")
            #expect(missing.status == 404)
            #expect(try JSONValue(parsing: missing.body)["error"]?["code"] == "model_not_found")
        }
    }

    @Test(
        "embeds every form of input",
        arguments: [
            (#""a""#, 1), (#"["a","b","c"]"#, 3), ("[1,2,3]", 1), ("[[1,2],[3]]", 2),
        ])
    func embeddings(input: String, count: Int) async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let answer = try client.post(
                "/v1/embeddings", #"{"model":"embedder","input":\#(input),"user":"u"}"#)
            #expect(answer.status == 200)
            let value = try JSONValue(parsing: answer.body)
            #expect(value["data"]?.arrayValue?.count == count)
            #expect(value["data"]?[0]?["embedding"] == [0.0, 0.125, 0.25, 0.375])
            #expect(value["usage"]?["total_tokens"]?.intValue == count * 3)
            let packed = try client.post(
                "/v1/embeddings",
                #"{"model":"embedder","input":\#(input),"encoding_format":"base64","dimensions":2}"#
            )
            let text = try JSONValue(parsing: packed.body)["data"]?[0]?["embedding"]
            #expect(text == "AAAAAAAAAD4=")
        }
    }

    @Test(
        "refuses what is wrong and says which field it is",
        arguments: [
            ("{}", "input"), (#"{"model":"embedder"}"#, "input"),
            (#"{"model":3,"input":"a"}"#, "model"),
            (#"{"model":"embedder","input":[]}"#, "input"),
            (#"{"model":"embedder","input":""}"#, "input"),
            (#"{"model":"embedder","input":["a",1]}"#, "input"),
            (#"{"model":"embedder","input":["a",[1]]}"#, "input"),
            (#"{"model":"embedder","input":[1,"a"]}"#, "input"),
            (#"{"model":"embedder","input":[[]]}"#, "input"),
            (#"{"model":"embedder","input":[-1]}"#, "input"),
            (#"{"model":"embedder","input":{"a":1}}"#, "input"),
            (#"{"model":"embedder","input":"a","encoding_format":"hex"}"#, "encoding_format"),
            (#"{"model":"embedder","input":"a","dimensions":0}"#, "dimensions"),
            (#"{"model":"embedder","input":"a","dimensions":"2"}"#, "dimensions"),
        ])
    func refusals(body: String, field: String) async throws {
        try await RunningServer.with { running in
            let answer = try running.client().post("/v1/embeddings", body)
            #expect(answer.status == 400)
            let error = try JSONValue(parsing: answer.body)["error"]
            #expect(error?["param"]?.stringValue == field, "\(answer.text)")
            #expect(error?["type"] == "invalid_request_error")
        }
    }

    @Test("answers unknown models, broken JSON and unknown routes in OpenAI's form")
    func errors() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let unknown = try client.post("/v1/embeddings", #"{"model":"none","input":"a"}"#)
            #expect(unknown.status == 404)
            #expect(try JSONValue(parsing: unknown.body)["error"]?["code"] == "model_not_found")
            for (answer, status) in [
                (try client.post("/v1/embeddings", "{"), 400),
                (try client.post("/v1/nothing", "{}"), 404),
                (try client.get("/v1/embeddings"), 405),
            ] {
                #expect(answer.status == status)
                #expect(try JSONValue(parsing: answer.body)["error"]?["message"] != nil)
            }
        }
    }

    @Test("ranks documents, the best first")
    func rerank() async throws {
        try await RunningServer.with { running in
            let client = try running.client()
            let answer = try client.post(
                "/v1/rerank",
                #"{"model":"reranker","query":"q","documents":["a",{"text":"abc"},"ab"],"#
                    + #""top_n":2,"return_documents":true}"#)
            #expect(
                answer.text
                    == #"{"model":"reranker","results":[{"index":1,"relevance_score":3.0,"document":"#
                    + #"{"text":"abc"}},{"index":2,"relevance_score":2.0,"document":{"text":"ab"}}],"#
                    + #""usage":{"prompt_tokens":9,"total_tokens":9}}"#)
            for body in [
                #"{"model":"reranker","query":"q"}"#, #"{"model":"reranker","documents":["a"]}"#,
                #"{"model":"reranker","query":"q","documents":[1]}"#,
                #"{"model":"reranker","query":"q","documents":["a"],"top_n":0}"#,
            ] {
                #expect(try client.post("/v1/rerank", body).status == 400)
            }
        }
    }
}
