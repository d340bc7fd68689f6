// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletResilience

/// Where replicas of a gateway keep what they share; changed only by a restart.
package struct SharedStateConfiguration: Sendable, Hashable {
    package var host: String
    package var port = 6_379
    package var isEncrypted = false
    package var database = 0
    package var user: String?
    /// The environment variable that holds the password.
    package var passwordVariable: String?
    package var prefix = "martlet"
    /// How long a request waits for an answer before it goes by this replica's own share.
    package var wait: Duration = .milliseconds(5)
    /// A connection that owes an answer for so long is given up.
    package var timeout: Duration = .seconds(1)
    /// How many replicas share the limits while Redis is away; nil: as many as were last seen.
    package var replicas: Int?
}

extension LimitPolicy {
    /// What one of so many equal parts may use: rates exactly, bursts and concurrency rounded down,
    /// but at least one.
    package func divided(by count: Int) -> LimitPolicy {
        let count = max(count, 1)
        func divided(_ rate: Rate) -> Rate {
            let (interval, overflow) = rate.rate.interval.nanosecondsSaturating
                .multipliedReportingOverflow(by: Int64(count))
            return Rate(
                rate: TokenBucket.Rate(
                    rate.rate.tokens, per: .nanoseconds(overflow ? .max : interval)),
                burst: max(rate.burst / count, 1))
        }
        var part = self
        part.requests = requests.map(divided)
        part.tokens = tokens.map(divided)
        part.concurrency = concurrency.map { max($0 / count, 1) }
        return part
    }
}
