// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML

extension GatewayConfigurationReader {
    private static let measures = ["logprob", "token_margin", "probability", "margin", "field"]

    /// `cascade: {first: small, then: large, confidence: {logprob: -0.4}, timeout: 2s}`.
    func readCascade(_ parent: ConfigurationSection) -> GatewayConfiguration.Cascade? {
        guard let node = parent["cascade"],
            let section = ConfigurationSection(node, "cascade of \(parent.name)", problems)
        else { return nil }
        section.allow(["first", "then", "confidence", "timeout"])
        guard section.requiredText("first", "the version that is asked first") != nil,
            section.requiredText("then", "the version that is asked when in doubt") != nil,
            let first = section.reference("first"), let then = section.reference("then")
        else { return nil }
        guard first.name != then.name else {
            problems.add("\(section.name) has the same version twice", at: node.position)
            return nil
        }
        guard let confidence = section["confidence"] else {
            problems.add(
                "\(section.name) has no confidence: one of "
                    + GatewayConfigurationReader.measures.joined(separator: ", "),
                at: node.position)
            return nil
        }
        guard var policy = readConfidence(confidence, section.name) else { return nil }
        section.duration("timeout", &policy.timeout)
        return GatewayConfiguration.Cascade(first: first, then: then, policy: policy)
    }

    /// `{logprob: -0.4}`, `{probability: 0.8, output: PROBS}`, `{field: score, min: 0.5}`.
    private func readConfidence(_ node: YAMLNode, _ what: String) -> CascadePolicy? {
        guard let section = ConfigurationSection(node, "confidence of \(what)", problems) else {
            return nil
        }
        let measures = GatewayConfigurationReader.measures
        section.allow(measures + ["output", "min"])
        let named = measures.filter { section[$0] != nil }
        guard named.count == 1, let name = named.first else {
            problems.add(
                "\(section.name) needs one of \(measures.joined(separator: ", "))",
                at: node.position)
            return nil
        }
        var least = Double.nan
        section.number(
            name == "field" ? "min" : name,
            name == "logprob" ? -1_000...0 : name == "field" ? -1e300...1e300 : 0...1, &least)
        let output = section.text("output")
        let measure: CascadePolicy.Measure
        switch name {
        case "logprob": measure = .logprob
        case "token_margin": measure = .tokenMargin
        case "probability": measure = .probability(output: output)
        case "margin": measure = .margin(output: output)
        default:
            guard let path = section.text("field") else { return nil }
            guard section["min"] != nil else {
                problems.add("\(section.name) has no min: the least number", at: node.position)
                return nil
            }
            measure = .field(path)
        }
        return least.isNaN ? nil : CascadePolicy(measure: measure, least: least)
    }

    /// `semantic_cache: {embeddings: POOL, model: NAME, threshold: 0.95}`.
    func readSemanticCache(
        _ parent: ConfigurationSection
    ) -> GatewayConfiguration.SemanticCache? {
        guard let node = parent["semantic_cache"],
            let section = ConfigurationSection(node, "semantic_cache of \(parent.name)", problems)
        else { return nil }
        section.allow([
            "embeddings", "model", "threshold", "entries", "bytes", "ttl", "timeout",
        ])
        guard
            section.requiredText("embeddings", "a pool or an upstream with /v1/embeddings") != nil,
            let pool = section.reference("embeddings"),
            let model = section.requiredText("model", "the embedding model's name there")
        else { return nil }
        var policy = SemanticCachePolicy(model: model)
        section.number("threshold", 0.5...1, &policy.threshold)
        section.integer("entries", 1...8_192, &policy.entriesMax)
        section.integer("bytes", 1_024...(1 << 30), &policy.bytesMax)
        section.duration("ttl", &policy.ttl)
        section.duration("timeout", &policy.timeout)
        return GatewayConfiguration.SemanticCache(pool: pool, policy: policy)
    }
}
