// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML

extension GatewayConfigurationReader {
    /// `deliver: {from: v1, to: v2, steps: [1, 5, 25, 100], hold: 5m, answers: 200}`.
    func readDelivery(_ parent: ConfigurationSection, _ model: String) -> DeliveryConfiguration? {
        guard let node = parent["deliver"],
            let section = ConfigurationSection(node, "deliver of \(parent.name)", problems)
        else { return nil }
        section.allow([
            "from", "to", "by", "experiment", "steps", "hold", "answers", "false_alarm", "errors",
            "latency", "feedback", "proof",
        ])
        guard section.requiredText("from", "the version that serves now") != nil,
            section.requiredText("to", "the version to bring out") != nil,
            let baseline = section.reference("from"), let canary = section.reference("to")
        else { return nil }
        var plan = DeliveryPlan(
            experiment: section.text("experiment") ?? "deliver/\(model)/\(canary.name)",
            canary: canary.name, baseline: baseline.name)
        if let steps = section["steps"] {
            guard let read = readSteps(steps, section) else { return nil }
            plan.steps = read
        }
        section.duration("hold", &plan.holdMin)
        section.integer("answers", 1...1_000_000_000, &plan.answersMin)
        section.number("false_alarm", 0.000_001...0.5, &plan.falseAlarm)
        if section["proof"] != nil {
            var margin = 2.0
            section.number("proof", 1.01...1_000, &margin)
            plan.proofMargin = margin
        }
        var delivery = DeliveryConfiguration(
            position: node.position, baseline: baseline, canary: canary, plan: plan)
        readGates(section, &delivery)
        if section["by"] != nil {
            guard let key = section.attribute("by") else { return nil }
            delivery.key = key
        }
        if let problem = delivery.plan.problem {
            problems.add("\(section.name): \(problem)", at: node.position)
            return nil
        }
        return delivery
    }

    private func readGates(
        _ section: ConfigurationSection, _ delivery: inout DeliveryConfiguration
    ) {
        gate(section, "errors", ["tolerance"]) {
            $0.number("tolerance", 0...100, &delivery.plan.errorTolerance)
        }
        gate(section, "latency", ["quantile", "tolerance"]) {
            $0.number("quantile", 0.5...0.999, &delivery.plan.latencyQuantile)
            $0.number("tolerance", 0...100, &delivery.plan.slowTolerance)
        }
        delivery.gatesFeedback = section["feedback"] != nil
        gate(section, "feedback", ["tolerance", "bad_below"]) {
            $0.number("tolerance", 0...100, &delivery.plan.feedbackTolerance)
            $0.number("bad_below", 0...1, &delivery.badBelow)
        }
    }

    private func gate(
        _ parent: ConfigurationSection, _ key: String, _ keys: [String],
        _ body: (ConfigurationSection) -> Void
    ) {
        guard let node = parent[key],
            let section = ConfigurationSection(node, "\(key) of \(parent.name)", problems)
        else { return }
        section.allow(keys)
        body(section)
    }

    /// Percentages as millionths.
    private func readSteps(_ node: YAMLNode, _ section: ConfigurationSection) -> [Int]? {
        guard let items = node.items, !items.isEmpty, items.count <= 100 else {
            section.wrong("steps", "a list of percentages such as [1, 5, 25, 100]", node)
            return nil
        }
        var steps: [Int] = []
        for item in items {
            guard let value = item.text.flatMap({ Double($0) }), value > 0, value <= 100 else {
                section.wrong("steps", "percentages above 0, up to 100", item)
                return nil
            }
            steps.append(Int((value * 10_000).rounded()))
        }
        return steps
    }

    /// `delivery: {state: FILE, comparisons: FILE, exposures: FILE, exposure_bytes: …}` and
    /// `feedback: {requests: 65536, kept: 24h}`.
    mutating func readDeliveryFiles(_ file: ConfigurationSection) {
        if let node = file["delivery"],
            let section = ConfigurationSection(node, "delivery", problems)
        {
            section.allow(["state", "comparisons", "exposures", "exposure_bytes"])
            configuration.deliveryFiles.state = section.text("state")
            configuration.deliveryFiles.comparisons = section.text("comparisons")
            configuration.deliveryFiles.exposures = section.text("exposures")
            section.integer(
                "exposure_bytes", 4_096...(1 << 40),
                &configuration.deliveryFiles.exposureBytesMax)
        }
        if let node = file["feedback"],
            let section = ConfigurationSection(node, "feedback", problems)
        {
            var policy = FeedbackPolicy()
            section.allow(["requests", "kept"])
            section.integer("requests", 1...10_000_000, &policy.requestsMax)
            section.duration("kept", &policy.keptFor)
            configuration.feedback = policy
        }
    }
}
