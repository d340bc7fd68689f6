// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGateway
internal import Testing

@Suite("TokenUsage")
struct TokenUsageTests {
    private func usage(_ text: String) -> TokenUsage? { TokenUsage(text: Array(text.utf8)) }

    @Test("counts are read as OpenAI and Anthropic write them")
    func reads() {
        let expected = TokenUsage(input: 7, output: 3)
        #expect(usage(#"{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}"#) == expected)
        #expect(usage(#"{"input_tokens":7,"output_tokens":3}"#) == expected)
        #expect(usage(#"{"prompt_tokens":7.0,"completion_tokens":3.0}"#) == expected)
        #expect(
            usage(
                #"{"input_tokens":4,"cache_read_input_tokens":2,"cache_creation_input_tokens":1,"#
                    + #""cache_creation":{"ephemeral":1},"output_tokens":3}"#) == expected)
        // Whoever counts OpenAI's way has them in the prompt already.
        #expect(
            usage(#"{"prompt_tokens":7,"cache_read_input_tokens":5,"completion_tokens":3}"#)
                == expected)
        #expect(usage(#"{"prompt_tokens":5,"total_tokens":5}"#) == TokenUsage(input: 5, output: 0))
        for text in ["null", "[]", "{}", #"{"total_tokens":5}"#, #"{"prompt_tokens":"7"}"#] {
            #expect(usage(text) == nil)
        }
    }

    @Test("counts that cannot be are kept within bounds, or are none")
    func bounds() {
        let most = TokenUsage(input: .max, output: .max)
        #expect(most.input == TokenUsage.countMax)
        #expect(most.total == 2 * TokenUsage.countMax)
        for count in ["9223372036854775807", "9223372036854775808", "9000000000000", "1e300"] {
            #expect(
                usage("{\"prompt_tokens\":\(count),\"completion_tokens\":\(count)}") == most)
        }
        #expect(usage(#"{"prompt_tokens":-5,"completion_tokens":3}"#) == nil)
        #expect(TokenUsage(input: -5, output: .min).total == 0)
    }

    @Test("no price and no count lets a sum overflow")
    func sums() {
        let dear = GatewayConfiguration.Price(input: .max, output: .max)
        var totals = UsageTotals()
        for _ in 0..<5 { totals.add(TokenUsage(input: .max, output: .max), price: dear) }
        #expect(totals.requests == 5)
        #expect(totals.input == 5 * TokenUsage.countMax)
        #expect(totals.cost == .max)
        let fair = GatewayConfiguration.Price(input: 1_000_000, output: 2_000_000)
        #expect(fair.cost(of: TokenUsage(input: 10, output: 20)) == 50_000_000)
    }
}
