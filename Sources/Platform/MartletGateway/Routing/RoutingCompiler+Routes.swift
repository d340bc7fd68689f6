// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletYAML

extension RoutingCompiler {
    /// Rules by what they can be found by, each list in the file's order.
    private struct Lists {
        var byModel: [[Int32]]
        var byPath: [String: [Int32]] = [:]
        var byPrefix: [String: [Int32]] = [:]
        var general: [Int32] = []
    }

    mutating func compileRoutes() {
        var lists = Lists(byModel: Array(repeating: [], count: tables.models.count))
        tables.rules.reserveCapacity(configuration.routes.count)
        var names: Set<String> = []
        for route in configuration.routes {
            guard !problems.isFull else { return }
            if !names.insert(route.name).inserted {
                problems.add("two routes are called '\(route.name)'", at: route.position)
            }
            compileRoute(route, &lists)
        }
        layOut(lists)
    }

    private mutating func compileRoute(
        _ route: GatewayConfiguration.Route, _ lists: inout Lists
    ) {
        let what = "route '\(route.name)'"
        let number = Int32(tables.rules.count)
        let start = tables.predicates.count
        let matched = placeByModel(route, what, number, &lists)
        guard let matched else { return }
        for condition in route.conditions {
            switch condition {
            case .value(let attribute, let test):
                tables.predicates.append(.value(slot: slot(attribute), test))
            case .share(let attribute, let millionths):
                tables.predicates.append(
                    .share(
                        slot: slot(attribute), salt: StableHash.salt("percent/\(route.name)"),
                        below: millionths))
            }
        }
        var model: Int?
        if let named = route.model {
            guard let found = self.model(named, what) else { return }
            model = found
        } else if matched.count == 1 {
            model = matched[0]
        }
        guard
            let action = action(
                route.destination, model: model, what, salt: "route/\(route.name)")
        else { return }
        tables.rules.append(
            RoutingTables.Rule(
                name: route.name, line: route.position.line, namesPaths: !route.paths.isEmpty,
                predicates: start..<tables.predicates.count, action: action))
    }

    /// Puts a rule into the lists it can be found by; the models that it is found by, or nil
    /// when one is unknown.
    private mutating func placeByModel(
        _ route: GatewayConfiguration.Route, _ what: String, _ number: Int32,
        _ lists: inout Lists
    ) -> [Int]? {
        if route.models.isEmpty {
            placeByPath(route, number, &lists)
            return []
        }
        if !route.paths.isEmpty {
            tables.predicates.append(.anyOf(slot: 0, route.paths.map { ValueTest(pattern: $0) }))
        }
        guard !route.models.contains(where: { $0.name.hasSuffix("*") }) else {
            tables.predicates.append(.model(route.models.map { ValueTest(pattern: $0.name) }))
            lists.general.append(number)
            return []
        }
        var found: [Int] = []
        for reference in route.models {
            guard let model = model(reference, what) else { return nil }
            guard !found.contains(model) else { continue }
            found.append(model)
            lists.byModel[model].append(number)
        }
        return found
    }

    private mutating func placeByPath(
        _ route: GatewayConfiguration.Route, _ number: Int32, _ lists: inout Lists
    ) {
        let isIndexed = route.paths.allSatisfy { !$0.hasSuffix("*") || $0.hasSuffix("/*") }
        guard !route.paths.isEmpty, isIndexed else {
            if !route.paths.isEmpty {
                tables.predicates.append(
                    .anyOf(slot: 0, route.paths.map { ValueTest(pattern: $0) }))
            }
            lists.general.append(number)
            return
        }
        for path in Set(route.paths) {
            if path.hasSuffix("*") {
                lists.byPrefix[String(path.dropLast()), default: []].append(number)
            } else {
                lists.byPath[path, default: []].append(number)
            }
        }
    }

    private mutating func layOut(_ lists: Lists) {
        tables.rulesByModel = lists.byModel.map { add($0) }
        tables.generalRules = add(lists.general)
        tables.rulesByPath = lists.byPath.mapValues { add($0) }
        for (prefix, rules) in lists.byPrefix {
            let entry = RoutingTables.PrefixRules(prefix: prefix, rules: add(rules))
            let previous = tables.rulesByPrefix.updateValue(entry, forKey: PathHash.of(prefix))
            if let previous {
                problems.add(
                    "paths '\(previous.prefix)*' and '\(prefix)*' cannot be told apart by their "
                        + "hashes; change one", at: nil)
            }
        }
        warnOfHidden()
    }

    private mutating func add(_ rules: [Int32]) -> Range<Int> {
        let start = tables.ruleLists.count
        tables.ruleLists += rules
        return start..<tables.ruleLists.count
    }

    /// Rules behind one that always matches can never be reached.
    private mutating func warnOfHidden() {
        // With a problem in a rule the numbers do not stand for the file's routes.
        guard tables.rules.count == configuration.routes.count else { return }
        let general = tables.generalRules.first {
            tables.rules[Int(tables.ruleLists[$0])].predicates.isEmpty
        }
        let cover = general.map { Int(tables.ruleLists[$0]) }
        var told: Set<Int> = []
        if let cover, cover + 1 < tables.rules.count {
            for rule in (cover + 1)..<tables.rules.count { warn(rule, behind: cover, &told) }
        }
        for range in tables.rulesByModel {
            guard
                let first = range.first(where: {
                    tables.rules[Int(tables.ruleLists[$0])].predicates.isEmpty
                })
            else { continue }
            for index in (first + 1)..<max(range.upperBound, first + 1) {
                let rule = Int(tables.ruleLists[index])
                guard configuration.routes[rule].models.count == 1 else { continue }
                warn(rule, behind: Int(tables.ruleLists[first]), &told)
            }
        }
    }

    private mutating func warn(_ rule: Int, behind cover: Int, _ told: inout Set<Int>) {
        guard warnings.count < ProblemList.countMax, told.insert(rule).inserted else { return }
        warnings.append(
            "line \(tables.rules[rule].line): route '\(tables.rules[rule].name)' can never be "
                + "reached: route '\(tables.rules[cover].name)' (line \(tables.rules[cover].line)) "
                + "takes everything before it")
    }
}
