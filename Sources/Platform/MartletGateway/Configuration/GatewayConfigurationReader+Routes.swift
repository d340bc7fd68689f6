// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML

extension GatewayConfigurationReader {
    private static let routeKeys = [
        "name", "match", "model", "version", "split", "refuse",
    ]
    private static let matchKeys = [
        "model", "path", "method", "header", "query", "field", "tenant", "region", "device",
        "user", "session", "key", "percent",
    ]

    mutating func readRoutes(_ file: ConfigurationSection) {
        guard let node = file["routes"], !node.isNull else { return }
        guard let items = node.items else {
            problems.add("routes is a list of rules, got \(node.kind)", at: node.position)
            return
        }
        configuration.routes.reserveCapacity(items.count)
        for (index, item) in items.enumerated() {
            guard !problems.isFull else { return }
            readRoute(item, number: index + 1)
        }
    }

    private mutating func readRoute(_ node: YAMLNode, number: Int) {
        guard var section = ConfigurationSection(node, "route \(number)", problems) else { return }
        let name = section.text("name")
        if let name, let named = ConfigurationSection(node, "route '\(name)'", problems) {
            section = named
        }
        section.allow(GatewayConfigurationReader.routeKeys)
        guard let destination = readDestination(section) else { return }
        var route = GatewayConfiguration.Route(
            name: name ?? "\(number)", position: node.position, model: section.reference("model"),
            destination: destination)
        if let match = section["match"] { readMatch(match, section.name, &route) }
        configuration.routes.append(route)
    }

    private func readDestination(
        _ section: ConfigurationSection
    ) -> GatewayConfiguration.Destination? {
        let given = ["version", "split", "refuse"].filter { section[$0] != nil }
        guard given.count <= 1 else {
            problems.add(
                "\(section.name) has \(given.joined(separator: " and ")): one of them",
                at: section.position)
            return nil
        }
        switch given.first {
        case "version": return section.reference("version").map { .version($0) }
        case "split":
            guard let node = section["split"] else { return nil }
            return readSplit(node, "split of \(section.name)").map { .split($0) }
        case "refuse":
            guard let node = section["refuse"] else { return nil }
            return readRefusal(node, section.name)
        default:
            guard let model = section.reference("model") else {
                problems.add(
                    "\(section.name) goes nowhere: it needs a version, a split, a model or refuse",
                    at: section.position)
                return nil
            }
            return .model(model)
        }
    }

    private func readRefusal(
        _ node: YAMLNode, _ route: String
    ) -> GatewayConfiguration.Destination? {
        guard let section = ConfigurationSection(node, "refuse of \(route)", problems) else {
            return nil
        }
        section.allow(["status", "message"])
        var status = 403
        section.integer("status", 400...599, &status)
        return .refuse(status: status, message: section.text("message") ?? "refused by a rule")
    }

    private func readMatch(
        _ node: YAMLNode, _ name: String, _ route: inout GatewayConfiguration.Route
    ) {
        guard let match = ConfigurationSection(node, "match of \(name)", problems) else { return }
        match.allow(GatewayConfigurationReader.matchKeys)
        for entry in match.entries {
            switch entry.key {
            case "model": route.models = match.references("model")
            case "path":
                let paths = match.references("path")
                for path in paths where !path.name.hasPrefix("/") {
                    problems.add(
                        "path '\(path.name)' of \(match.name) must begin with /",
                        at: path.position)
                }
                route.paths = paths.map(\.name)
            case "header", "query", "field":
                guard let values = ConfigurationSection(entry.value, match.name, problems) else {
                    continue
                }
                for value in values.entries {
                    guard let attribute = Attribute(entry.key + ":" + value.key) else { continue }
                    addTest(attribute, value, match, &route)
                }
            case "percent": readPercent(entry.value, match.name, &route)
            default:
                guard let attribute = Attribute(entry.key) else { continue }
                addTest(attribute, entry, match, &route)
            }
        }
    }

    /// A text, a list of texts, `*` for anything, or null for "must not be there".
    private func addTest(
        _ attribute: Attribute, _ entry: YAMLNode.Entry, _ match: ConfigurationSection,
        _ route: inout GatewayConfiguration.Route
    ) {
        let node = entry.value
        if node.isNull {
            route.conditions.append(.value(attribute, .absent))
        } else if let text = node.text {
            route.conditions.append(.value(attribute, ValueTest(pattern: text)))
        } else if let items = node.items, !items.isEmpty {
            let texts = items.compactMap(\.text)
            guard texts.count == items.count else {
                return match.wrong(entry.key, "a text or a list of texts", node)
            }
            route.conditions.append(.value(attribute, .anyOf(Set(texts))))
        } else {
            match.wrong(entry.key, "a text or a list of texts", node)
        }
    }

    private func readPercent(
        _ node: YAMLNode, _ name: String, _ route: inout GatewayConfiguration.Route
    ) {
        let what = "percent of \(name)"
        guard let section = ConfigurationSection(node, what, problems) else { return }
        section.allow(["by", "below"])
        guard section["below"] != nil else {
            problems.add("\(what) has no below: a percentage", at: node.position)
            return
        }
        var percent = -1.0
        section.number("below", 0...100, &percent)
        if section["by"] != nil, section.attribute("by") == nil { return }
        guard percent >= 0 else { return }
        route.conditions.append(
            .share(
                of: section.attribute("by") ?? .request,
                millionths: Int((percent * 10_000).rounded())))
    }
}
