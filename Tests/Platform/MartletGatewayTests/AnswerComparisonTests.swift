// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import Testing

@Suite("AnswerComparison")
struct AnswerComparisonTests {
    private func answer(_ body: String, status: Int = 200) -> ComparedAnswer {
        ComparedAnswer(status: status, body: Array(body.utf8), latency: .milliseconds(10))
    }

    @Test("ids, times and usage say nothing; texts, tokens and prices do")
    func chat() {
        let result = AnswerComparison.compare(
            id: "1",
            primary: answer(
                #"{"id":"x","created":1,"choices":[{"message":{"content":"a b c d"}}],"#
                    + #""usage":{"prompt_tokens":1000000,"completion_tokens":0}}"#),
            candidate: answer(
                #"{"id":"y","created":2,"choices":[{"message":{"content":"a b c e"}}],"#
                    + #""usage":{"prompt_tokens":500000,"completion_tokens":0}}"#),
            price: .init(input: 3_000_000, output: 0), candidatePrice: nil)
        #expect(result.differences.map(\.pattern) == ["$.choices[*].message.content"])
        #expect(result.text?.words == 1)
        #expect(result.primaryTokens == 1_000_000)
        #expect(result.candidateTokens == 500_000)
        #expect(result.primaryCost == 3_000_000)
        #expect(result.candidateCost == 0)
        #expect(result.noise == nil)
    }

    @Test("a failure of the candidate is a difference")
    func failure() {
        let result = AnswerComparison.compare(
            id: "1", primary: answer(#"{"a":1}"#),
            candidate: answer(#"{"error":"x"}"#, status: 500), again: answer(#"{"a":1}"#))
        #expect(result.differences.contains { $0.path == "$.status" })
        #expect(result.noise?.isEmpty == true)
    }

    @Test("embeddings and tensors are compared as numbers")
    func tensors() {
        let result = AnswerComparison.compare(
            id: "1", primary: answer(#"{"data":[{"embedding":[1.0,0.0]}]}"#),
            candidate: answer(#"{"data":[{"embedding":[0.0,1.0]}]}"#))
        #expect(result.tensors.count == 1)
        #expect(result.tensors.first?.cosine == 0)
        #expect(result.tensors.first?.outside == 2)
    }
}
