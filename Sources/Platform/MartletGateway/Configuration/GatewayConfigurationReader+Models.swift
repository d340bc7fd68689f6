// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML

extension GatewayConfigurationReader {
    mutating func readModel(_ name: String, _ position: SourcePosition, _ node: YAMLNode) {
        let what = "model '\(name)'"
        var model = GatewayConfiguration.Model(name: name, position: position)
        if let pool = node.text, !node.isNull {
            // The short form: one version that lives in one pool.
            model.versions = [
                GatewayConfiguration.Version(
                    label: "1", position: node.position, pool: pool)
            ]
            configuration.models.append(model)
            return
        }
        guard let section = ConfigurationSection(node, what, problems) else { return }
        section.allow([
            "versions", "default", "split", "price", "fallback", "limits", "shadow", "deliver",
            "cascade", "semantic_cache", "cache", "fallback_answer", "adapters",
        ])
        model.limits = readLimits(section)
        model.shadow = readShadow(section)
        model.delivery = readDelivery(section, name)
        model.cascade = readCascade(section)
        model.semanticCache = readSemanticCache(section)
        model.cache = readCache(section)
        model.fallbackAnswer = readFallbackAnswer(section)
        if let node = section["versions"],
            let versions = ConfigurationSection(node, "versions of \(what)", problems)
        {
            model.versions = versions.entries.compactMap { readVersion($0, what) }
        }
        if model.versions.isEmpty {
            problems.add("\(what) has no versions: it could never answer", at: position)
        }
        model.price = readPrice(section)
        model.fallbacks = section.references("fallback")
        model.adapters = section.references("adapters")
        switch (section["default"], section["split"]) {
        case (.some, .some(let node)):
            problems.add("\(what) has a default and a split: one of them", at: node.position)
        case (.some, nil): model.standard = section.reference("default").map { .version($0) }
        case (nil, .some(let node)):
            model.standard = readSplit(node, "split of \(what)").map { .split($0) }
        case (nil, nil):
            if model.versions.count > 1, section["deliver"] == nil, section["cascade"] == nil {
                problems.add(
                    "\(what) has several versions and neither a default nor a split",
                    at: position)
            }
        }
        let ways = ["default", "split", "deliver", "cascade"].filter { section[$0] != nil }
        if ways.count > 1, let node = section[ways[1]], ways != ["default", "split"] {
            problems.add(
                "\(what) has \(ways.joined(separator: " and ")), which all decide between its "
                    + "versions: one of them", at: node.position)
        }
        configuration.models.append(model)
    }

    private func readVersion(
        _ entry: YAMLNode.Entry, _ model: String
    ) -> GatewayConfiguration.Version? {
        if let pool = entry.value.text, !entry.value.isNull {
            return GatewayConfiguration.Version(
                label: entry.key, position: entry.value.position, pool: pool)
        }
        let what = "version '\(entry.key)' of \(model)"
        guard let section = ConfigurationSection(entry.value, what, problems) else { return nil }
        section.allow(["pool", "model", "price", "adapter"])
        guard let pool = section.requiredText("pool", "a pool or an upstream") else { return nil }
        var isAdapter = false
        section.flag("adapter", &isAdapter)
        return GatewayConfiguration.Version(
            label: entry.key, position: section["pool"]?.position ?? entry.position, pool: pool,
            remoteModel: section.text("model"), price: readPrice(section), isAdapter: isAdapter)
    }

    /// `shadow: {to: v2, percent: 10, noise: true, concurrency: 8}`.
    private func readShadow(_ parent: ConfigurationSection) -> GatewayConfiguration.Shadow? {
        guard let node = parent["shadow"],
            let section = ConfigurationSection(node, "shadow of \(parent.name)", problems)
        else { return nil }
        section.allow(["to", "percent", "noise", "concurrency"])
        guard section["to"] != nil else {
            problems.add("\(section.name) has no to: a version of the model", at: node.position)
            return nil
        }
        guard let version = section.reference("to") else { return nil }
        var shadow = GatewayConfiguration.Shadow(version: version)
        var percent = 100.0
        section.number("percent", 0...100, &percent)
        shadow.share = Int((percent * 10_000).rounded())
        section.integer("concurrency", 1...10_000, &shadow.concurrencyMax)
        if let noise = section["noise"] {
            switch noise.text {
            case "true": shadow.measuresNoise = true
            case "false": shadow.measuresNoise = false
            default: section.wrong("noise", "true or false", noise)
            }
        }
        return shadow
    }

    private func readPrice(_ parent: ConfigurationSection) -> GatewayConfiguration.Price? {
        guard let node = parent["price"],
            let section = ConfigurationSection(node, "price of \(parent.name)", problems)
        else { return nil }
        section.allow(["input", "output"])
        var amounts: [Int64] = []
        for key in ["input", "output"] {
            guard section[key] != nil else {
                problems.add(
                    "\(section.name) has no \(key): a price per million tokens", at: node.position)
                return nil
            }
            var amount = -1.0
            section.number(key, 0...1e6, &amount)
            guard amount >= 0 else { return nil }
            amounts.append(Int64((amount * 1e6).rounded()))
        }
        return GatewayConfiguration.Price(input: amounts[0], output: amounts[1])
    }

    /// A split: `{by: user, experiment: name, to: {v1: 90, v2: 10}}`.
    func readSplit(_ node: YAMLNode, _ what: String) -> GatewayConfiguration.Split? {
        guard let section = ConfigurationSection(node, what, problems) else { return nil }
        section.allow(["by", "experiment", "to"])
        guard let to = section["to"] else {
            problems.add("\(what) has no to: versions with their percentages", at: node.position)
            return nil
        }
        guard let weights = ConfigurationSection(to, "to of \(what)", problems) else { return nil }
        var arms: [GatewayConfiguration.Arm] = []
        for entry in weights.entries {
            var percent = -1.0
            weights.number(entry.key, 0...100, &percent)
            guard percent >= 0 else { return nil }
            arms.append(
                GatewayConfiguration.Arm(
                    version: .init(name: entry.key, position: entry.position),
                    share: Int((percent * 10_000).rounded())))
        }
        let sum = arms.reduce(0) { $0 + $1.share }
        guard sum == Int(StableHash.parts) else {
            problems.add(
                "the weights of \(what) sum to \(PercentText.of(sum)), they must sum to 100 %",
                at: to.position)
            return nil
        }
        if section["by"] != nil, section.attribute("by") == nil { return nil }
        return GatewayConfiguration.Split(
            position: node.position, key: section.attribute("by") ?? .request,
            experiment: section.text("experiment"), arms: arms)
    }
}

/// Shares as people read them.
package enum PercentText {
    /// Millionths as a percentage: 12.5 %.
    package static func of(_ millionths: Int) -> String {
        let whole = millionths / 10_000
        let rest = millionths % 10_000
        guard rest != 0 else { return "\(whole) %" }
        var digits = String(rest + 10_000).dropFirst()
        while digits.hasSuffix("0") { digits = digits.dropLast() }
        return "\(whole).\(digits) %"
    }
}
