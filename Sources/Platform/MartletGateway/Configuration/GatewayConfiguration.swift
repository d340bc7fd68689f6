// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletResilience
package import MartletYAML

/// What gateway.yaml says, part by part valid; names are resolved when it is compiled
/// (`RoutingSnapshot`).
package struct GatewayConfiguration: Sendable {
    /// An endpoint that answers requests.
    package struct Upstream: Sendable {
        package enum Dialect: String, Sendable, CaseIterable { case openai, kserve, grpc }

        package enum Address: Sendable, Hashable {
            case remote(scheme: String, host: String, port: Int, path: String)
            /// A model that this process serves.
            case local(model: String)

            /// Spoken to behind TLS.
            package var isEncrypted: Bool {
                guard case .remote(let scheme, _, _, _) = self else { return false }
                return scheme.hasSuffix("s")
            }
        }

        package var name: String
        package var position: SourcePosition
        package var address: Address
        package var dialect: Dialect
        /// The environment variable that holds the upstream's own API key.
        package var keyVariable: String?
        /// It is spoken to over one HTTP/2 connection for each event loop, a stream each request.
        package var isHTTP2 = false
        /// Streams are asked for what they used, whether the client asks or not.
        package var asksUsage = true
        package var tls = UpstreamTLSPolicy()
    }

    /// Upstreams that can stand in for one another, with how to choose and protect them.
    package struct Pool: Sendable {
        package struct Member: Sendable {
            package var upstream: String
            package var position: SourcePosition
            package var weight = 1
            /// Lower is asked first; the next only when nobody of this can be asked.
            package var priority = 0
        }

        package var name: String
        package var position: SourcePosition
        package var members: [Member] = []
        package var policy = PoolPolicy()
    }

    /// A price per million tokens, in millionths of the currency's unit.
    package struct Price: Sendable, Hashable {
        package var input: Int64
        package var output: Int64

        package init(input: Int64, output: Int64) {
            self.input = input
            self.output = output
        }
    }

    package struct Version: Sendable {
        package var label: String
        package var position: SourcePosition
        /// A pool, or an upstream that is a pool of its own.
        package var pool: String
        /// What the model is called there; nil: as here.
        package var remoteModel: String?
        package var price: Price?
        /// It is a low-rank adapter there.
        package var isAdapter = false
    }

    package struct Model: Sendable {
        package var name: String
        package var position: SourcePosition
        package var versions: [Version] = []
        package var standard: Destination?
        package var price: Price?
        package var fallbacks: [Reference] = []
        /// Low-rank adapters of it: they go its way, under their own names.
        package var adapters: [Reference] = []
        package var limits: LimitPolicy?
        package var shadow: Shadow?
        package var cache: CachePolicy?
        package var fallbackAnswer: FixedAnswer?
        package var delivery: DeliveryConfiguration?
        package var cascade: Cascade?
        package var semanticCache: SemanticCache?
    }

    /// A small version that is asked first, and the one that is asked when it is not sure.
    package struct Cascade: Sendable {
        package var first: Reference
        package var then: Reference
        package var policy: CascadePolicy
    }

    /// Answers for questions of the same meaning.
    package struct SemanticCache: Sendable {
        /// Where embeddings are made.
        package var pool: Reference
        package var policy: SemanticCachePolicy
    }

    /// A version that is asked as well, to be compared.
    package struct Shadow: Sendable {
        package var version: Reference
        /// Of the requests, in millionths.
        package var share = Int(StableHash.parts)
        /// The primary is asked a second time too, so that its own noise is not charged.
        package var measuresNoise = false
        /// Of one event loop.
        package var concurrencyMax = 8
    }

    /// A name that must mean something, and where it was written.
    package struct Reference: Sendable {
        package var name: String
        package var position: SourcePosition
    }

    /// One arm of a split, in millionths of the traffic.
    package struct Arm: Sendable {
        package var version: Reference
        package var share: Int
    }

    package struct Split: Sendable {
        package var position: SourcePosition
        /// What keeps a user at one arm.
        package var key: Attribute
        /// Named splits are experiments: assignments are logged under the name, which also seeds
        /// the hash.
        package var experiment: String?
        package var arms: [Arm]
    }

    package enum Destination: Sendable {
        case version(Reference)
        case split(Split)
        case model(Reference)
        case refuse(status: Int, message: String)
    }

    /// One rule: everything in `conditions` must hold.
    package struct Route: Sendable {
        package var name: String
        package var position: SourcePosition
        package var models: [Reference] = []
        package var paths: [String] = []
        package var conditions: [Condition] = []
        /// The model whose versions the destination names, when it is not the matched one.
        package var model: Reference?
        package var destination: Destination
    }

    package enum Condition: Sendable {
        case value(Attribute, ValueTest)
        case share(of: Attribute, millionths: Int)
    }

    package var upstreams: [Upstream] = []
    package var pools: [Pool] = []
    package var models: [Model] = []
    package var aliases: [(name: Reference, target: Reference)] = []
    package var routes: [Route] = []
    package var currency = "USD"
    package var requiresPrices = false
    package var access = AccessConfiguration()
    package var listen = ListenConfiguration()
    package var deliveryFiles = DeliveryFiles()
    /// Nil: requests are not remembered, unless a delivery needs it.
    package var feedback: FeedbackPolicy?
    package var state: SharedStateConfiguration?
    /// Where spending is kept over a restart.
    package var budgetFile: String?

    package init() {}
}

/// Whom an upstream behind TLS must be certified by, and what it is shown of us: files in PEM.
package struct UpstreamTLSPolicy: Sendable, Hashable {
    /// The authorities, instead of the system's.
    package var authorities: String?
    /// Our certificate with its chain.
    package var certificate: String?
    package var key: String?
    /// The name that its certificate must bear, where that is not the host.
    package var serverName: String?

    package init() {}
}

/// How a pool chooses among its members, and how it is protected.
package struct PoolPolicy: Sendable, Hashable {
    package enum Balance: String, Sendable, CaseIterable {
        case leastLoaded = "least_loaded"
        case powerOfTwo = "power_of_two"
        case weighted
        case hash
        case prefix
        case lora
    }

    package var balance = Balance.leastLoaded
    /// What `hash` keeps at one upstream.
    package var hashKey: Attribute?
    /// Where `lora` finds a request's adapter; nil: in its model's name.
    package var adapterKey: Attribute?
    package var slowStart: Duration = .zero
    /// The longest that one attempt may take.
    package var timeout: Duration = .seconds(60)
    /// Attempts in all, the first included.
    package var attempts = 2
    package var retries = RetryBudget.Policy()
    package var breaker = CircuitBreaker.Policy()
    package var outliers = OutlierEjection.Policy()
    package var bulkhead = Bulkhead.Policy()
    /// Finds how many requests the pool can take at once; nil: as many as the bulkhead says.
    package var adaptive: AdaptiveConcurrency.Policy?
    package var health: HealthCheckPolicy?
    package var load: LoadPolicy?

    package init() {}
}
