// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension RoutingCompiler {
    /// A delivery is a split of two arms whose shares are moved while the gateway runs. The canary
    /// takes the beginning of the range, so that a growing share takes nobody out of it.
    mutating func compileDelivery(
        _ delivery: DeliveryConfiguration, model index: Int, _ what: String
    ) {
        let first = delivery.plan.steps[0]
        let split = GatewayConfiguration.Split(
            position: delivery.position, key: delivery.key,
            experiment: delivery.plan.experiment,
            arms: [
                GatewayConfiguration.Arm(version: delivery.canary, share: first),
                GatewayConfiguration.Arm(
                    version: delivery.baseline, share: Int(StableHash.parts) - first),
            ])
        guard
            let action = action(
                .split(split), model: index, "the delivery of \(what)", salt: "model/\(what)"),
            case .split(let number) = action
        else { return }
        tables.models[index].standard = action
        tables.splits[number].delivery = tables.deliveries.count
        tables.deliveries.append(
            RoutingTables.Delivery(
                model: index, split: number, plan: delivery.plan, badBelow: delivery.badBelow))
        if configuration.feedback == nil { tables.feedback = FeedbackPolicy() }
    }
}

extension RoutingSnapshot {
    /// The same rules with a delivery's canary at this share, in millionths.
    package func delivering(_ delivery: RoutingTables.Delivery, share: Int) -> RoutingSnapshot? {
        settingShares(
            [
                delivery.plan.canary: share,
                delivery.plan.baseline: Int(StableHash.parts) - share,
            ], experiment: delivery.plan.experiment)
    }

    /// The share that a delivery's canary has by these rules.
    package func share(of delivery: RoutingTables.Delivery) -> Int {
        tables.arms[tables.splits[delivery.split].arms.lowerBound].upTo
    }
}
