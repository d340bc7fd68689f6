// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML

/// Resolves a configuration's names and lays it out for routing; whatever cannot be resolved
/// becomes a problem with its line.
struct RoutingCompiler {
    struct VersionKey: Hashable {
        var model: Int
        var label: String
    }

    let configuration: GatewayConfiguration
    let problems: ProblemList
    var tables = RoutingTables()
    var warnings: [String] = []
    var upstreamIndex: [String: Int] = [:]
    var poolIndex: [String: Int] = [:]
    var versionIndex: [VersionKey: Int] = [:]
    var slots: [Attribute: Int] = [.path: 0]
    var usedPools: Set<String> = []
    var usedUpstreams: Set<String> = []

    init(_ configuration: GatewayConfiguration, _ problems: ProblemList) {
        self.configuration = configuration
        self.problems = problems
    }

    mutating func compile() {
        tables.currency = configuration.currency
        tables.access = configuration.access
        tables.listen = configuration.listen
        tables.deliveryFiles = configuration.deliveryFiles
        tables.feedback = configuration.feedback
        tables.state = configuration.state
        tables.budgetFile = configuration.budgetFile
        compilePools()
        compileModels()
        compileAliases()
        compileAdapters()
        compileFallbacks()
        compileStandards()
        compileRoutes()
        checkAccess()
        warn()
    }

    // MARK: Pools

    private mutating func compilePools() {
        for upstream in configuration.upstreams {
            upstreamIndex[upstream.name] = tables.upstreams.count
            tables.upstreams.append(
                RoutingTables.Upstream(
                    name: upstream.name, address: upstream.address, dialect: upstream.dialect,
                    keyVariable: upstream.keyVariable, isHTTP2: upstream.isHTTP2,
                    asksUsage: upstream.asksUsage, tls: upstream.tls))
        }
        for pool in configuration.pools {
            if upstreamIndex[pool.name] != nil {
                problems.add(
                    "'\(pool.name)' is both a pool and an upstream: versions could not tell which",
                    at: pool.position)
            }
            var members: [RoutingTables.Member] = []
            for member in pool.members {
                guard let upstream = upstreamIndex[member.upstream] else {
                    problems.add(
                        "pool '\(pool.name)' names the unknown upstream '\(member.upstream)'"
                            + ProblemList.hint(member.upstream, among: upstreamIndex.keys),
                        at: member.position)
                    continue
                }
                usedUpstreams.insert(member.upstream)
                if members.contains(where: { $0.upstream == upstream }) {
                    problems.add(
                        "pool '\(pool.name)' names upstream '\(member.upstream)' twice",
                        at: member.position)
                }
                members.append(
                    RoutingTables.Member(
                        upstream: upstream, weight: member.weight, priority: member.priority))
            }
            poolIndex[pool.name] = tables.pools.count
            tables.pools.append(
                RoutingTables.Pool(name: pool.name, members: members, policy: pool.policy))
        }
    }

    private mutating func pool(_ version: GatewayConfiguration.Version, _ model: String) -> Int? {
        pool(
            GatewayConfiguration.Reference(name: version.pool, position: version.position),
            "version '\(version.label)' of model '\(model)'")
    }

    /// A pool by its name, or an upstream's own.
    mutating func pool(_ reference: GatewayConfiguration.Reference, _ what: String) -> Int? {
        let name = reference.name
        if let known = poolIndex[name] {
            usedPools.insert(name)
            return known
        }
        guard let upstream = upstreamIndex[name] else {
            problems.add(
                "\(what) goes to '\(name)', which is neither a pool nor an upstream"
                    + ProblemList.hint(
                        name, among: Array(poolIndex.keys) + Array(upstreamIndex.keys)),
                at: reference.position)
            return nil
        }
        usedUpstreams.insert(name)
        let index = tables.pools.count
        tables.pools.append(
            RoutingTables.Pool(
                name: name,
                members: [RoutingTables.Member(upstream: upstream, weight: 1, priority: 0)],
                policy: PoolPolicy()))
        poolIndex[name] = index
        usedPools.insert(name)
        return index
    }

    // MARK: Models

    private mutating func compileModels() {
        for (index, model) in configuration.models.enumerated() {
            tables.modelIndex[model.name] = index
            tables.models.append(
                RoutingTables.Model(
                    name: model.name, standard: .model(index), fallbacks: [],
                    limits: model.limits, cache: model.cache,
                    fallbackAnswer: model.fallbackAnswer))
            for version in model.versions {
                let price = version.price ?? model.price
                if configuration.requiresPrices, price == nil {
                    problems.add(
                        "version '\(version.label)' of model '\(model.name)' has no price, and "
                            + "accounting says that prices are required",
                        at: version.position)
                }
                guard let pool = pool(version, model.name) else { continue }
                let key = VersionKey(model: index, label: version.label)
                versionIndex[key] = tables.versions.count
                tables.versions.append(
                    RoutingTables.Version(
                        label: version.label, model: index, pool: pool,
                        remoteModel: version.remoteModel ?? model.name, price: price,
                        isAdapter: version.isAdapter))
            }
        }
    }

    private mutating func compileStandards() {
        for (index, model) in configuration.models.enumerated() {
            let what = "model '\(model.name)'"
            if let cache = model.semanticCache {
                tables.models[index].semanticCache = semanticCache(cache, what)
            }
            if let shadow = model.shadow,
                let version = version(shadow.version, index, "the shadow of \(what)")
            {
                tables.models[index].shadow = RoutingTables.Shadow(
                    version: version, share: shadow.share, measuresNoise: shadow.measuresNoise,
                    concurrencyMax: shadow.concurrencyMax)
            }
            if let delivery = model.delivery {
                compileDelivery(delivery, model: index, what)
            } else if let cascade = model.cascade {
                compileCascade(cascade, model: index, what)
            } else if let standard = model.standard {
                if let action = action(standard, model: index, what, salt: "model/\(model.name)") {
                    tables.models[index].standard = action
                }
            } else if let only = model.versions.first {
                let key = VersionKey(model: index, label: only.label)
                if let version = versionIndex[key] {
                    tables.models[index].standard = .version(version)
                }
            }
        }
    }

    /// A destination with its names resolved against a model's versions.
    mutating func action(
        _ destination: GatewayConfiguration.Destination, model: Int?, _ what: String, salt: String
    ) -> RoutingTables.Action? {
        switch destination {
        case .version(let reference):
            return version(reference, model, what).map { .version($0) }
        case .model(let reference):
            return self.model(reference, what).map { .model($0) }
        case .refuse(let status, let message):
            tables.refusals.append(RoutingTables.Refusal(status: status, message: message))
            return .refuse(tables.refusals.count - 1)
        case .split(let split):
            let start = tables.arms.count
            var sum = 0
            for arm in split.arms {
                guard let version = version(arm.version, model, what) else { return nil }
                sum += arm.share
                tables.arms.append(RoutingTables.Arm(version: version, upTo: sum))
            }
            if let name = split.experiment,
                tables.splits.contains(where: { $0.experiment == name })
            {
                problems.add(
                    "two splits are the experiment '\(name)'; each needs a name of its own",
                    at: split.position)
            }
            tables.splits.append(
                RoutingTables.Split(
                    keySlot: slot(split.key), salt: StableHash.salt(split.experiment ?? salt),
                    experiment: split.experiment, arms: start..<tables.arms.count))
            return .split(tables.splits.count - 1)
        }
    }

    func version(
        _ reference: GatewayConfiguration.Reference, _ model: Int?, _ what: String
    ) -> Int? {
        guard let model else {
            problems.add(
                "\(what) names version '\(reference.name)' of no model: say which with model",
                at: reference.position)
            return nil
        }
        if let found = versionIndex[VersionKey(model: model, label: reference.name)] {
            return found
        }
        let labels = configuration.models[model].versions.map(\.label)
        // A version whose pool is unknown has been told of already.
        guard !labels.contains(reference.name) else { return nil }
        problems.add(
            "\(what) goes to version '\(reference.name)', which model "
                + "'\(configuration.models[model].name)' does not have (it has "
                + "\(labels.joined(separator: ", ")))"
                + ProblemList.hint(reference.name, among: labels),
            at: reference.position)
        return nil
    }

    func model(_ reference: GatewayConfiguration.Reference, _ what: String) -> Int? {
        if let index = tables.modelIndex[reference.name] { return index }
        problems.add(
            "\(what) names the unknown model '\(reference.name)'"
                + ProblemList.hint(reference.name, among: tables.modelIndex.keys),
            at: reference.position)
        return nil
    }

    mutating func slot(_ attribute: Attribute) -> Int {
        if let known = slots[attribute] { return known }
        let slot = tables.attributes.count
        tables.attributes.append(attribute)
        slots[attribute] = slot
        return slot
    }
}
