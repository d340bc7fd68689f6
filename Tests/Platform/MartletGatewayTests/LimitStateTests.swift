// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import Testing

@Suite("LimitState")
struct LimitStateTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    private func policy(
        requests: Int? = nil, tokens: Int? = nil, concurrency: Int? = nil
    ) -> LimitPolicy {
        var policy = LimitPolicy()
        policy.requests = requests.map {
            LimitPolicy.Rate(rate: TokenBucket.Rate($0, per: .seconds(60)), burst: $0)
        }
        policy.tokens = tokens.map {
            LimitPolicy.Rate(rate: TokenBucket.Rate($0, per: .seconds(60)), burst: $0)
        }
        policy.concurrency = concurrency
        return policy
    }

    private func refusal(
        _ state: inout LimitState, tokens: Int
    ) -> LimitRefusal? {
        do throws(LimitRefusal) {
            let hold = try state.admit(tokens: tokens, at: start)
            state.settle(hold, usedTokens: tokens, at: start)
            return nil
        } catch { return error }
    }

    @Test("requests above the rate are refused with the time to wait")
    func requests() {
        var state = LimitState(policy: policy(requests: 3), at: start)
        for _ in 0..<3 { #expect(refusal(&state, tokens: 0) == nil) }
        let refused = refusal(&state, tokens: 0)
        #expect(refused?.kind == .requests)
        #expect(refused?.retryAfter == .seconds(20))
    }

    @Test("requests at one time are bounded, and free places come back")
    func concurrency() throws {
        var state = LimitState(policy: policy(concurrency: 1), at: start)
        let hold = try state.admit(tokens: 0, at: start)
        #expect(refusal(&state, tokens: 0)?.kind == .concurrency)
        state.settle(hold, usedTokens: 0, at: start)
        #expect(state.inFlight == 0)
        #expect(refusal(&state, tokens: 0) == nil)
    }

    @Test("tokens are reserved before and settled after")
    func tokens() throws {
        var state = LimitState(policy: policy(tokens: 100), at: start)
        let hold = try state.admit(tokens: 90, at: start)
        #expect(refusal(&state, tokens: 20)?.kind == .tokens)
        state.settle(hold, usedTokens: 30, at: start)
        #expect(refusal(&state, tokens: 70) == nil)
        #expect(refusal(&state, tokens: 101)?.retryAfter == nil)
    }

    @Test("a request that its tokens keep out does not count as one")
    func givesBack() {
        var state = LimitState(policy: policy(requests: 1, tokens: 10), at: start)
        #expect(refusal(&state, tokens: 11)?.kind == .tokens)
        #expect(refusal(&state, tokens: 10) == nil)
    }
}
