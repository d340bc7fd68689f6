// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletBase
package import MartletResilience
package import MartletYAML

/// How much a key, a tenant or a model may use.
package struct LimitPolicy: Sendable, Hashable {
    package struct Rate: Sendable, Hashable {
        package var rate: TokenBucket.Rate
        package var burst: Int

        package init(rate: TokenBucket.Rate, burst: Int) {
            self.rate = rate
            self.burst = burst
        }
    }

    package var requests: Rate?
    /// Model tokens, in and out.
    package var tokens: Rate?
    /// Requests in flight.
    package var concurrency: Int?
    /// Output tokens that are reserved for a request that names no maximum.
    package var reservedOutput = 256

    package init() {}
}

/// Who may ask for what.
package struct AccessConfiguration: Sendable {
    package struct Key: Sendable {
        package var name: String
        package var position: SourcePosition
        /// SHA-256 of the secret; the secret itself is nowhere. Two while it is rotated.
        package var digests: [Digest] = []
        package var tenant: String?
        /// Models that it may use; empty: all.
        package var models: [GatewayConfiguration.Reference] = []
        /// Seconds since the epoch; nil: for ever.
        package var expires: Int64?
        package var limits: LimitPolicy?
        /// Names of client certificates that stand for the key.
        package var certificates: [String] = []
        package var budget: BudgetPolicy?
        package var priority: RequestPriority?
        /// How urgent its requests may say they are.
        package var priorityMax: RequestPriority?
    }

    /// Who issues tokens (JWT) that are taken like keys.
    package struct TokenIssuer: Sendable {
        package enum Source: Sendable, Hashable {
            case file(String)
            case remote(GatewayConfiguration.Upstream.Address)
        }

        package var name: String
        package var position: SourcePosition
        package var policy: TokenPolicy
        /// Where the issuer's public keys are.
        package var source: Source
        package var refresh: Duration = .seconds(300)
        package var limits: LimitPolicy?
    }

    package var keys: [Key] = []
    package var issuers: [TokenIssuer] = []
    /// Whether anybody is asked for a key.
    package var requiresKey = false
    package var tenants: [(name: String, limits: LimitPolicy)] = []
    package var tenantPriorities: [String: RequestPriority] = [:]
    package var tenantBudgets: [String: BudgetPolicy] = [:]
    /// For every key that has no limits of its own.
    package var standardLimits: LimitPolicy?
    /// Digests of the secrets that open the admin API; empty: it is closed.
    package var adminDigests: [Digest] = []
    /// Headers (or other attributes) that say who asks.
    package var identity: [(Attribute, Attribute)] = [
        (.user, .header("x-user-id")), (.session, .header("x-session-id")),
        (.region, .header("x-region")), (.device, .header("x-device")),
        (.request, .header("x-request-id")),
    ]

    package init() {}
}

/// How the gateway's door behaves; changed only by a restart.
package struct ListenConfiguration: Sendable, Hashable {
    package var host = "127.0.0.1"
    package var port = 8080
    package var threads = 1
    package var connectionsMax = 16_384
    package var idle: Duration = .seconds(75)
    package var header: Duration = .seconds(10)
    package var body: Duration = .seconds(30)
    /// How long a client may take none of an answer that waits for it.
    package var write: Duration = .seconds(30)
    package var drain: Duration = .seconds(30)
    package var bodyBytesMax = 64 << 20
    /// Bytes of a body that are kept to route by and to send again.
    package var keptBytesMax = 256 << 10
    /// Bytes of a body that may go by before its model is named.
    package var searchedBytesMax = 8 << 20
    package var certificate: String?
    package var key: String?
    /// The authorities (PEM) whose client certificates are taken; nil: none are asked for.
    package var clientAuthorities: String?
    /// A port of their own for the admin API and the metrics; nil: they are at the door.
    package var admin: AdminDoor?
    package var logsRequests = true
    /// The share of requests that are traced, in millionths.
    package var tracedShare = 10_000

    package init() {}
}

/// Where the admin API and the metrics are, when that is not the door.
package struct AdminDoor: Sendable, Hashable {
    package var host = "127.0.0.1"
    package var port = 0

    package init() {}
}

/// How a pool's members are asked what they have to do.
package struct LoadPolicy: Sendable, Hashable {
    package var path = "/metrics"
    package var interval: Duration = .seconds(1)
    package var timeout: Duration = .seconds(1)

    package init() {}
}

/// How a pool's members are asked whether they are well.
package struct HealthCheckPolicy: Sendable, Hashable {
    package var path = "/v2/health/ready"
    package var interval: Duration = .seconds(5)
    package var timeout: Duration = .seconds(1)
    /// Failures in a row that take a member out, and successes that bring it back.
    package var failures = 3
    package var successes = 1

    package init() {}
}
