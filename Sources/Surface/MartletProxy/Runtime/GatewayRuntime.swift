// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience
internal import Synchronization

/// A routing snapshot with everything live that belongs to it. What a change of the configuration
/// leaves as it is (endpoints, pools, limits) is taken over from the runtime before, with its
/// state.
final class GatewayRuntime: Sendable {
    /// Where a request's attribute is found.
    enum Source: Sendable {
        case path, method, tenant, key
        case header([UInt8])
        case query(String)
        case field(String)
        /// The body's `user`, where no header says it.
        case user(header: [UInt8])
    }

    /// No other runtime of this process has it, not even one that takes its place in memory.
    let serial = GatewayRuntime.serials.add(1, ordering: .relaxed).newValue
    private static let serials = Atomic<UInt64>(0)

    let snapshot: RoutingSnapshot
    let access: AccessTable
    let upstreams: [UpstreamIdentity]
    let pools: [PoolRuntime]
    /// By slot of the snapshot's attributes.
    let sources: [Source]
    /// Where pools that balance by a hash or by adapters find their key, by pool.
    let keySources: [Source?]
    /// Whether rules or pools ask for members of the body other than the model.
    let needsBody: Bool
    let keyLimiters: [Limiter?]
    /// By key, for callers that a token says nothing more of: the tenant's limits, and how urgent
    /// their requests are.
    let keyTenantLimiters: [Limiter?]
    let keyPriorities: [RequestPriority]
    let keyNeverExpires: [Bool]
    /// By version: nothing is kept, compared or asked of others for its model's requests.
    let isPlain: [Bool]
    /// By name.
    let tenantLimiters: [String: Limiter]
    let modelLimiters: [Limiter?]
    /// By model.
    let caches: [AnswerCache?]
    /// By issuer, as in the access table.
    let tokenKeys: [TokenKeys]

    /// - Parameters:
    ///   - hasModels: the process serves models itself, for upstreams with `local`.
    ///   - secrets: looks an environment variable up.
    init(
        _ snapshot: RoutingSnapshot, after previous: GatewayRuntime?, at now: MonotonicInstant,
        hasModels: Bool = false, secrets: (String) -> String?
    ) {
        let tables = snapshot.tables
        self.snapshot = snapshot
        access = AccessTable(snapshot)
        var known: [String: UpstreamIdentity] = [:]
        for upstream in previous?.upstreams ?? [] { known[upstream.name] = upstream }
        let upstreams = tables.upstreams.map { upstream in
            let secret = upstream.keyVariable.flatMap(secrets)
            if let same = known[upstream.name], same.matches(upstream, secret: secret) {
                return same
            }
            return UpstreamIdentity(upstream, secret: secret, hasModels: hasModels)
        }
        self.upstreams = upstreams
        pools = PoolSuccession(previous, at: now).pools(of: tables, upstreams)
        sources = GatewayRuntime.sources(tables)
        keySources = GatewayRuntime.keySources(tables)
        needsBody = (sources + keySources.compactMap { $0 }).contains {
            if case .field = $0 { return true }
            return false
        }
        tokenKeys = access.issuers.map { issuer in
            previous?.tokenKeys.first { $0.source == issuer.source } ?? TokenKeys(issuer)
        }
        caches = GatewayRuntime.caches(tables, previous)
        let (byKey, byTenant, byModel) = GatewayRuntime.limiters(tables, previous, now)
        (keyLimiters, tenantLimiters, modelLimiters) = (byKey, byTenant, byModel)
        let access = access
        keyTenantLimiters = access.keys.map { key in key.tenant.flatMap { byTenant[$0] } }
        keyNeverExpires = access.keys.map { $0.expires == nil }
        isPlain = tables.versions.map { version in
            let model = tables.models[version.model]
            return model.cache == nil && model.cascade == nil && model.shadow == nil
                && model.semanticCache == nil
        }
        keyPriorities = access.keys.map { key in
            key.priority ?? key.tenant.flatMap { access.tenantPriorities[$0] } ?? .normal
        }
    }

    private static func sources(_ tables: RoutingTables) -> [Source] {
        let identity = identity(tables)
        return tables.attributes.map { source($0, identity) }
    }

    private static func keySources(_ tables: RoutingTables) -> [Source?] {
        let identity = identity(tables)
        return tables.pools.map { pool in
            switch pool.policy.balance {
            case .hash: return pool.policy.hashKey.map { source($0, identity) }
            case .lora: return pool.policy.adapterKey.map { source($0, identity) }
            default: return nil
            }
        }
    }

    private static func identity(_ tables: RoutingTables) -> [Attribute: Attribute] {
        var identity: [Attribute: Attribute] = [:]
        for (attribute, source) in tables.access.identity { identity[attribute] = source }
        return identity
    }

    private static func source(
        _ attribute: Attribute, _ identity: [Attribute: Attribute]
    ) -> Source {
        switch identity[attribute] ?? attribute {
        case .path: .path
        case .method: .method
        case .tenant: .tenant
        case .key: .key
        case .header(let name):
            attribute == .user ? .user(header: Array(name.utf8)) : .header(Array(name.utf8))
        case .query(let name): .query(name)
        case .field(let path): .field(path)
        case .region, .device, .user, .session, .request: .header(Array("x-\(attribute)".utf8))
        }
    }

    private static func caches(
        _ tables: RoutingTables, _ previous: GatewayRuntime?
    ) -> [AnswerCache?] {
        var known: [String: AnswerCache] = [:]
        for (index, model) in (previous?.snapshot.tables.models ?? []).enumerated() {
            known[model.name] = previous?.caches[index]
        }
        return tables.models.map { model in
            guard let policy = model.cache else { return nil }
            if let same = known[model.name], same.policy == policy { return same }
            return AnswerCache(policy)
        }
    }

    private static func limiters(
        _ tables: RoutingTables, _ previous: GatewayRuntime?, _ now: MonotonicInstant
    ) -> ([Limiter?], [String: Limiter], [Limiter?]) {
        var known: [String: Limiter] = [:]
        if let previous {
            for limiter in previous.keyLimiters + previous.modelLimiters {
                if let limiter { known[limiter.name] = limiter }
            }
            for limiter in previous.tenantLimiters.values { known[limiter.name] = limiter }
        }
        func limiter(_ name: String, _ policy: LimitPolicy?) -> Limiter? {
            guard let policy else { return nil }
            if let same = known[name], same.policy == policy { return same }
            let new = Limiter(name: name, policy: policy, at: now)
            known[name] = new
            return new
        }
        let access = tables.access
        var tenants: [String: Limiter] = [:]
        for (name, policy) in access.tenants { tenants[name] = limiter("tenant/\(name)", policy) }
        return (
            access.keys.map { limiter("key/\($0.name)", $0.limits ?? access.standardLimits) }
                + access.issuers.map {
                    limiter("key/jwt/\($0.name)", $0.limits ?? access.standardLimits)
                },
            tenants,
            tables.models.map { limiter("model/\($0.name)", $0.limits) }
        )
    }
}
