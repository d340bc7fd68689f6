// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletHTTP
internal import MartletServing
internal import MartletTesting
internal import Testing

@Suite("OpenAI body fuzz")
struct TextBodyFuzzTests {
    @Test("embedding bodies")
    func embeddings() {
        let seeds = [
            #"{"model":"m","input":["a","b"],"encoding_format":"base64","dimensions":4,"user":"u"}"#,
            #"{"input":[[1,2],[3]],"model":"m"}"#, #"{"input":[1,2,3],"model":"m"}"#,
        ]
        fuzz("embeddings JSON", seeds: seeds.map { Array($0.utf8) }) { bytes in
            let request = try TextBody.decodeEmbedding(bytes)
            #expect(!request.inputs.isEmpty)
        }
    }

    @Test("rerank bodies")
    func reranking() {
        let seed =
            #"{"model":"m","query":"q","documents":["a",{"text":"b"}],"top_n":1,"#
            + #""return_documents":true}"#
        fuzz("rerank JSON", seeds: [Array(seed.utf8)]) { bytes in
            let request = try TextBody.decodeRerank(bytes)
            #expect(!request.documents.isEmpty)
        }
    }
}
