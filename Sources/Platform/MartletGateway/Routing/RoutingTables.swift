// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletResilience

/// A configuration with every name resolved to a number, in flat arrays.
package struct RoutingTables: Sendable {
    package struct Upstream: Sendable {
        package var name: String
        package var address: GatewayConfiguration.Upstream.Address
        package var dialect: GatewayConfiguration.Upstream.Dialect
        package var keyVariable: String?
        package var isHTTP2: Bool
        package var asksUsage: Bool
        package var tls: UpstreamTLSPolicy

        package init(
            name: String, address: GatewayConfiguration.Upstream.Address,
            dialect: GatewayConfiguration.Upstream.Dialect, keyVariable: String? = nil,
            isHTTP2: Bool = false, asksUsage: Bool = true,
            tls: UpstreamTLSPolicy = UpstreamTLSPolicy()
        ) {
            self.asksUsage = asksUsage && dialect == .openai
            self.tls = tls
            self.isHTTP2 = isHTTP2 || dialect == .grpc
            self.name = name
            self.address = address
            self.dialect = dialect
            self.keyVariable = keyVariable
        }
    }

    package struct Member: Sendable, Hashable {
        package var upstream: Int
        package var weight: Int
        package var priority: Int
    }

    package struct Pool: Sendable {
        package var name: String
        package var members: [Member]
        package var policy: PoolPolicy
    }

    package struct Version: Sendable {
        package var label: String
        package var model: Int
        package var pool: Int
        /// What the model is called at the pool's upstreams.
        package var remoteModel: String
        package var price: GatewayConfiguration.Price?
        /// It is a low-rank adapter there.
        package var isAdapter: Bool
    }

    package struct Model: Sendable {
        package var name: String
        package var standard: Action
        package var fallbacks: [Int]
        package var limits: LimitPolicy?
        package var shadow: Shadow?
        package var cache: CachePolicy?
        package var fallbackAnswer: FixedAnswer?
        package var cascade: Cascade?
        package var semanticCache: SemanticCache?
    }

    package struct Cascade: Sendable {
        package var first: Int
        package var then: Int
        package var policy: CascadePolicy
    }

    package struct SemanticCache: Sendable {
        package var pool: Int
        package var policy: SemanticCachePolicy
    }

    package struct Shadow: Sendable {
        package var version: Int
        package var share: Int
        package var measuresNoise: Bool
        package var concurrencyMax: Int
    }

    package enum Action: Sendable, Hashable {
        case version(Int)
        case split(Int)
        /// As that model goes without a rule.
        case model(Int)
        case refuse(Int)
    }

    package struct Split: Sendable {
        package var keySlot: Int
        package var salt: UInt64
        package var experiment: String?
        package var arms: Range<Int>
        /// The delivery that moves its shares.
        package var delivery: Int?
    }

    /// A new version that is being brought out.
    package struct Delivery: Sendable, Hashable {
        package var model: Int
        package var split: Int
        package var plan: DeliveryPlan
        /// Feedback below this is bad.
        package var badBelow: Double
    }

    /// Takes the places from the arm before up to here.
    package struct Arm: Sendable {
        package var version: Int
        package var upTo: Int
    }

    enum Predicate: Sendable {
        case value(slot: Int, ValueTest)
        case anyOf(slot: Int, [ValueTest])
        case model([ValueTest])
        case share(slot: Int, salt: UInt64, below: Int)
    }

    package struct Rule: Sendable {
        package var name: String
        package var line: Int
        /// It names paths: they are passed on, whatever they are.
        package var namesPaths: Bool
        var predicates: Range<Int>
        package var action: Action
    }

    package struct Refusal: Sendable, Hashable {
        package var status: Int
        package var message: String
    }

    /// Rules under a path that ends in `/*`, found by the hash of the path up to there.
    struct PrefixRules: Sendable {
        var prefix: String
        var rules: Range<Int>
    }

    package internal(set) var upstreams: [Upstream] = []
    package internal(set) var pools: [Pool] = []
    package internal(set) var versions: [Version] = []
    package internal(set) var models: [Model] = []
    package internal(set) var splits: [Split] = []
    package internal(set) var arms: [Arm] = []
    package internal(set) var rules: [Rule] = []
    package internal(set) var refusals: [Refusal] = []
    /// What requests are asked for, by slot; slot 0 is the path.
    package internal(set) var attributes: [Attribute] = [.path]
    package internal(set) var currency = "USD"
    package internal(set) var access = AccessConfiguration()
    package internal(set) var listen = ListenConfiguration()
    /// What was said beside the file, and holds instead of what it says.
    var listenInstead: (host: String?, port: Int?) = (nil, nil)
    package internal(set) var deliveries: [Delivery] = []
    package internal(set) var deliveryFiles = DeliveryFiles()
    package internal(set) var feedback: FeedbackPolicy?
    package internal(set) var state: SharedStateConfiguration?
    package internal(set) var budgetFile: String?

    var predicates: [Predicate] = []
    /// Models and aliases by name.
    var modelIndex: [String: Int] = [:]
    /// Low-rank adapters by name, with the models whose way they go.
    var adapterIndex: [String: Int] = [:]
    /// Rules in their order, list after list; the ranges below are into this.
    var ruleLists: [Int32] = []
    var rulesByModel: [Range<Int>] = []
    var rulesByPath: [String: Range<Int>] = [:]
    var rulesByPrefix: [UInt64: PrefixRules] = [:]
    var generalRules: Range<Int> = 0..<0
}

/// What one request is routed by: its model, and the values that the snapshot's rules ask for.
///
/// `values` has one place per `RoutingTables.attributes`, filled for the same snapshot. A shell
/// keeps one and fills it again for each request: texts of up to 15 bytes cost no allocation.
package struct RoutingRequest: Sendable {
    package var model: String?
    /// The model's number in the snapshot that is asked, when it is known.
    package var modelNumber: Int?
    package var values: [String?]

    package init(model: String?, values: [String?]) {
        self.model = model
        self.values = values
    }

    /// As `RoutingSnapshot.route`, read in place: nobody copies the request for it.
    package mutating func route(by snapshot: RoutingSnapshot, draw: UInt64) -> RoutingDecision {
        snapshot.route(self, draw: draw)
    }
}

/// Where a request goes, in numbers of its snapshot.
package struct RoutingDecision: Sendable, Hashable {
    package enum Outcome: Sendable, Hashable {
        case version(Int)
        case refused(Int)
        /// No rule matched, and there is no model of that name (or none was named).
        case unknownModel
    }

    package var outcome: Outcome
    /// The rule that decided; nil: the model's own default.
    package var rule: Int?
    /// The split that chose the version, and the place in it, in millionths.
    package var split: Int?
    package var place: Int?
    /// False when the split's key was missing and the place was drawn.
    package var isSticky = true

    package init(
        outcome: Outcome, rule: Int? = nil, split: Int? = nil, place: Int? = nil,
        isSticky: Bool = true
    ) {
        self.outcome = outcome
        self.rule = rule
        self.split = split
        self.place = place
        self.isSticky = isSticky
    }
}
