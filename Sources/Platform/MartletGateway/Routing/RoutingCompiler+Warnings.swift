// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension RoutingCompiler {
    /// What is allowed but looks like a mistake.
    mutating func warn() {
        warnOfUnused()
        warnOfAdapters()
        warnOfMixedPools()
        warnOfFreeModels()
        if configuration.feedback == nil { warnOfFeedbackGates() }
    }

    private mutating func warnOfUnused() {
        for pool in configuration.pools where !usedPools.contains(pool.name) {
            warnings.append("\(pool.position): no version goes to pool '\(pool.name)'")
        }
        for upstream in configuration.upstreams where !usedUpstreams.contains(upstream.name) {
            warnings.append("\(upstream.position): nothing uses upstream '\(upstream.name)'")
        }
    }

    /// Pools that go by adapters and are never told of any, and those whose members are not asked.
    private mutating func warnOfAdapters() {
        for pool in configuration.pools where pool.policy.balance == .lora {
            if pool.policy.load == nil {
                warnings.append(
                    "\(pool.position): pool '\(pool.name)' balances by lora without load: what "
                        + "its members say of their adapters is not read")
            }
            let isNamed = tables.versions.contains { version in
                tables.pools[version.pool].name == pool.name
                    && (version.isAdapter
                        || tables.adapterIndex.values.contains(version.model))
            }
            if pool.policy.adapterKey == nil, !isNamed {
                warnings.append(
                    "\(pool.position): pool '\(pool.name)' balances by lora, but no model that "
                        + "goes there has adapters, and it has no adapter_key")
            }
        }
    }

    /// What one member understands, a member of another protocol does not.
    private mutating func warnOfMixedPools() {
        for pool in configuration.pools {
            var dialects: [String] = []
            for member in pool.members {
                guard let index = upstreamIndex[member.upstream] else { continue }
                let dialect = tables.upstreams[index].dialect.rawValue
                if !dialects.contains(dialect) { dialects.append(dialect) }
            }
            guard dialects.count > 1 else { continue }
            warnings.append(
                "\(pool.position): members of pool '\(pool.name)' speak different protocols ("
                    + dialects.joined(separator: ", ")
                    + "): they cannot stand in for one another")
        }
    }

    /// A model without a price costs nothing, so that no budget ever ends.
    private mutating func warnOfFreeModels() {
        let access = configuration.access
        let holders = access.keys.filter { $0.budget != nil }
        guard !holders.isEmpty || !access.tenantBudgets.isEmpty else { return }
        let reachesAll =
            !access.tenantBudgets.isEmpty || holders.contains { $0.models.isEmpty }
        let reached = Set(holders.flatMap { $0.models.compactMap { tables.modelIndex[$0.name] } })
        for (index, model) in configuration.models.enumerated()
        where warnings.count < ProblemList.countMax {
            let free = model.versions.filter { $0.price == nil && model.price == nil }
            guard !free.isEmpty, reachesAll || reached.contains(index) else { continue }
            let what =
                free.count == model.versions.count
                ? "model '\(model.name)' has no price"
                : "version '\(free[0].label)' of model '\(model.name)' has no price"
            warnings.append(
                "\(model.position): \(what): it costs nothing, and no budget ever stops it "
                    + "(price: {input: 0, output: 0} says that this is meant)")
        }
    }

    private mutating func warnOfFeedbackGates() {
        for model in configuration.models {
            guard let delivery = model.delivery, delivery.gatesFeedback else { continue }
            warnings.append(
                "\(delivery.position): deliver of model '\(model.name)' has a feedback gate, and "
                    + "there is no feedback section: its standard values hold")
        }
    }
}
