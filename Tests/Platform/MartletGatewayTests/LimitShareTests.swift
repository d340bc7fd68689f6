// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import Testing

@Suite("Limits shared by replicas")
struct LimitShareTests {
    @Test("however often the shared state goes and comes back, at most one burst more is admitted")
    func overAdmission() {
        var reached = 0.0
        for seed in 0..<UInt64(2_000) {
            var random = SeededRandom(seed: seed)
            let count = Int.random(in: 1...5, using: &random)
            let burst = Int.random(in: count...200, using: &random)
            let tokens = Int.random(in: 1...100, using: &random)
            var policy = LimitPolicy()
            policy.requests = LimitPolicy.Rate(
                rate: TokenBucket.Rate(tokens, per: .seconds(1)), burst: burst)
            let start = MonotonicInstant(nanoseconds: 0)
            var shared = TokenBucket(
                rate: TokenBucket.Rate(tokens, per: .seconds(1)), capacity: burst, at: start)
            var shares = (0..<count).map { _ in
                LimitState(policy: policy.divided(by: count), at: start)
            }
            var isAway = false
            var owed = 0
            var admitted = 0
            var now = start
            for _ in 0..<600 {
                now = now.advanced(by: .milliseconds(Int.random(in: 0...40, using: &random)))
                if Int.random(in: 0..<40, using: &random) == 0 {
                    isAway.toggle()
                    if !isAway {
                        shared.charge(owed, at: now)
                        owed = 0
                    }
                }
                for _ in 0..<Int.random(in: 0...20, using: &random) {
                    if isAway {
                        let replica = Int.random(in: 0..<count, using: &random)
                        guard let hold = try? shares[replica].admit(tokens: 0, at: now) else {
                            continue
                        }
                        shares[replica].settle(hold, usedTokens: 0, at: now)
                        owed += 1
                        admitted += 1
                    } else if shared.take(at: now) == .taken {
                        admitted += 1
                    }
                }
                let seconds = Double(now.nanoseconds) / 1e9
                let bound = 2 * Double(burst) + Double(tokens) * seconds + Double(count)
                guard Double(admitted) <= bound else {
                    Issue.record("seed \(seed): \(admitted) admitted, at most \(bound)")
                    return
                }
                reached = max(reached, Double(admitted) / bound)
            }
        }
        #expect(reached > 0.9, "the bound is no idle one: \(reached)")
    }
}
