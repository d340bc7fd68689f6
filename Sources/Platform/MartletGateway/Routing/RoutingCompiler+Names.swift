// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML

extension RoutingCompiler {
    // MARK: Aliases

    /// Follows each alias to its model; circles and dead ends are problems.
    mutating func compileAliases() {
        var targets: [String: GatewayConfiguration.Reference] = [:]
        for alias in configuration.aliases {
            if tables.modelIndex[alias.name.name] != nil {
                problems.add(
                    "alias '\(alias.name.name)' is also the name of a model",
                    at: alias.name.position)
            }
            targets[alias.name.name] = alias.target
        }
        var resolved: [String: Int] = [:]
        var told: Set<String> = []
        for alias in configuration.aliases {
            if let model = follow(alias.name, targets, resolved, &told) {
                resolved[alias.name.name] = model
            }
        }
        tables.modelIndex.merge(resolved) { model, _ in model }
    }

    private func follow(
        _ alias: GatewayConfiguration.Reference,
        _ targets: [String: GatewayConfiguration.Reference], _ resolved: [String: Int],
        _ told: inout Set<String>
    ) -> Int? {
        var path = [alias.name]
        var seen: Set<String> = [alias.name]
        var current = alias
        while let target = targets[current.name] {
            if let known = resolved[target.name] { return known }
            if let model = tables.modelIndex[target.name] { return model }
            guard seen.insert(target.name).inserted else {
                // Told once, at the circle's first alias in the file.
                let circle = path.drop { $0 != target.name }
                if circle.first == alias.name, told.isDisjoint(with: circle) {
                    told.formUnion(circle)
                    problems.add(
                        "aliases go in a circle: "
                            + (circle + [target.name]).joined(separator: " → "),
                        at: alias.position)
                }
                return nil
            }
            guard targets[target.name] != nil else {
                if path.count == 1 {
                    problems.add(
                        "alias '\(alias.name)' stands for '\(target.name)', which is neither a "
                            + "model nor an alias"
                            + ProblemList.hint(
                                target.name, among: configuration.models.map(\.name)),
                        at: target.position)
                }
                return nil
            }
            path.append(target.name)
            current = target
        }
        return nil
    }

    // MARK: Adapters

    mutating func compileAdapters() {
        for (index, model) in configuration.models.enumerated() {
            for adapter in model.adapters {
                let what = "adapter '\(adapter.name)' of model '\(model.name)'"
                if tables.modelIndex[adapter.name] != nil {
                    problems.add(
                        "\(what) is also the name of a model or an alias", at: adapter.position)
                } else if let other = tables.adapterIndex.updateValue(index, forKey: adapter.name) {
                    let holder = tables.models[other].name
                    problems.add(
                        "\(what) is already one of model '\(holder)'", at: adapter.position)
                }
            }
        }
    }

    // MARK: Fallbacks

    mutating func compileFallbacks() {
        for (index, model) in configuration.models.enumerated() {
            for reference in model.fallbacks {
                guard let target = self.model(reference, "the fallback of model '\(model.name)'")
                else { continue }
                if tables.models[index].fallbacks.contains(target) {
                    problems.add(
                        "model '\(model.name)' names the fallback '\(reference.name)' twice",
                        at: reference.position)
                    continue
                }
                tables.models[index].fallbacks.append(target)
            }
        }
        reportFallbackCircles()
    }

    /// Takes away models whose fallbacks all end; what is left goes in circles (Kahn, 1962).
    private func reportFallbackCircles() {
        var callers: [[Int]] = Array(repeating: [], count: tables.models.count)
        var open = tables.models.map(\.fallbacks.count)
        for (index, model) in tables.models.enumerated() {
            for target in model.fallbacks { callers[target].append(index) }
        }
        var ending = open.indices.filter { open[$0] == 0 }
        while let index = ending.popLast() {
            for caller in callers[index] {
                open[caller] -= 1
                if open[caller] == 0 { ending.append(caller) }
            }
        }
        var told: Set<Int> = []
        for start in open.indices where open[start] > 0 && !told.contains(start) {
            var path: [Int] = []
            var current = start
            while told.insert(current).inserted {
                path.append(current)
                guard
                    let next = tables.models[current].fallbacks.first(where: { open[$0] > 0 })
                else { break }
                current = next
            }
            let circle = path.drop { $0 != current }
            guard !circle.isEmpty else { continue }
            problems.add(
                "fallbacks go in a circle: "
                    + (circle + [current]).map { tables.models[$0].name }
                    .joined(separator: " → "),
                at: configuration.models[current].position)
        }
    }
}
