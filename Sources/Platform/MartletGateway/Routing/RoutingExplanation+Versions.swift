// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletResilience

/// What else happens to a request that goes to a version.
extension RoutingSnapshot {
    func sayMore(_ decision: RoutingDecision, _ version: Int, _ say: (String, String) -> Void) {
        let model = tables.models[tables.versions[version].model]
        if let number = decision.split.flatMap({ tables.splits[$0].delivery }) {
            say("delivery", deliveryText(tables.deliveries[number]))
        }
        if let cascade = model.cascade, cascade.first == version {
            say(
                "cascade",
                "'\(tables.versions[cascade.then].label)' is asked when "
                    + "\(cascade.policy.measure) is below \(cascade.policy.least), the answer is "
                    + "no 200, or after \(DurationLabel.of(cascade.policy.timeout))")
        }
        if let cache = model.semanticCache {
            say(
                "answers",
                "kept by meaning: cosine from \(cache.policy.threshold), embeddings of "
                    + "'\(cache.policy.model)' from pool \(tables.pools[cache.pool].name), "
                    + "\(cache.policy.entriesMax) entries")
        }
        if let shadow = model.shadow, shadow.version != version {
            say(
                "shadow",
                "\(PercentText.of(shadow.share)) are asked of "
                    + "'\(tables.versions[shadow.version].label)' as well and compared"
                    + (shadow.measuresNoise ? ", with noise" : ""))
        }
    }

    /// Which adapter decides among a pool's members, when the pool goes by that.
    func sayAdapter(
        _ policy: PoolPolicy, _ named: String?, _ value: (Attribute) -> String?,
        _ say: (String, String) -> Void
    ) {
        guard policy.balance == .lora else { return }
        guard let name = policy.adapterKey.flatMap(value) ?? named else {
            return say("adapter", "none is named; the least loaded is asked")
        }
        say(
            "adapter",
            "'\(name)': whoever holds it, else one that its hash keeps, unless that has more "
                + "than its share of the load")
    }

    private func deliveryText(_ delivery: RoutingTables.Delivery) -> String {
        let plan = delivery.plan
        return "'\(plan.baseline)' → '\(plan.canary)' by "
            + plan.steps.map { PercentText.of($0) }.joined(separator: ", ")
            + ", each for \(DurationLabel.of(plan.holdMin)) and \(plan.answersMin) answers; shown is "
            + "the first step, a running gateway is where it has got to"
    }
}

extension CascadePolicy.Measure: CustomStringConvertible {
    package var description: String {
        switch self {
        case .logprob: "the mean logprob"
        case .tokenMargin: "the tokens' mean margin"
        case .probability(let output): "the highest of \(output ?? "the first output")"
        case .margin(let output): "the margin of \(output ?? "the first output")"
        case .field(let path): path
        }
    }
}
