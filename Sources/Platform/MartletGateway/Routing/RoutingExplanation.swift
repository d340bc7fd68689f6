// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Why a request goes where it goes: each rule that was looked at, the split, the answer.
package struct RoutingExplanation: Sendable {
    package struct Line: Sendable, Hashable {
        package var label: String
        package var text: String
    }

    package var lines: [Line] = []
    package var decision: RoutingDecision

    /// Two columns.
    package var text: String {
        let width = lines.reduce(0) { max($0, $1.label.count) } + 2
        return lines.map { line in
            line.label + String(repeating: " ", count: width - line.label.count) + line.text
        }
        .joined(separator: "\n")
    }
}

private struct RecordingTrace: RoutingTrace {
    var rules: [(rule: Int, failed: Int?)] = []
    var split: (split: Int, place: Int, key: String?)?

    mutating func saw(rule: Int, failed: Int?) { rules.append((rule, failed)) }
    mutating func chose(split: Int, place: Int, key: String?) {
        self.split = (split, place, key)
    }
}

extension RoutingSnapshot {
    /// Decides as `route` does, by the same code, and says why.
    package func explain(_ description: RequestDescription, draw: UInt64) -> RoutingExplanation {
        let request = request(model: description.model, description.value)
        var trace = RecordingTrace()
        let decision = decide(request, draw, &trace)
        var explanation = RoutingExplanation(decision: decision)
        func say(_ label: String, _ text: String) {
            explanation.lines.append(RoutingExplanation.Line(label: label, text: text))
        }
        say("request", "\(description.method) \(description.path)")
        say("model", modelText(description.model))
        for (rule, failed) in trace.rules {
            let it = tables.rules[rule]
            let label = "rule \(it.name)"
            guard let failed else {
                say(label, "line \(it.line): matches")
                continue
            }
            say(label, "line \(it.line): no, " + failure(failed, request))
        }
        if decision.rule == nil, case .version = decision.outcome {
            say("default", "no rule matches; the model's own way is taken")
        }
        if let split = trace.split { say("split", splitText(split)) }
        if case .version = decision.outcome {
            let path = UpstreamPath.kind(description.path)
            if !passesOn(path, decision) {
                say(
                    "answer",
                    path == .ambiguous
                        ? "400: the path could mean another one"
                        : "404: the path asks no model, and no route that matches names it")
                return explanation
            }
        }
        sayOutcome(decision, description.model, description.value, say)
        return explanation
    }

    private func modelText(_ name: String?) -> String {
        guard let name else { return "none is named" }
        if let index = tables.adapterIndex[name] {
            return "'\(name)', an adapter of '\(tables.models[index].name)'"
        }
        guard let index = tables.modelIndex[name] else { return "'\(name)', not configured" }
        let model = tables.models[index].name
        return model == name ? "'\(name)'" : "'\(name)', an alias of '\(model)'"
    }

    private func failure(_ predicate: Int, _ request: RoutingRequest) -> String {
        func found(_ slot: Int) -> String {
            request.values[slot].map { "is '\($0)'" } ?? "is not there"
        }
        switch tables.predicates[predicate] {
        case .value(let slot, let test):
            return "\(tables.attributes[slot]) \(found(slot)), must be \(test)"
        case .anyOf(let slot, let tests):
            return "\(tables.attributes[slot]) \(found(slot)), must be "
                + tests.map(\.description).joined(separator: " or ")
        case .model(let tests):
            return "the model must be " + tests.map(\.description).joined(separator: " or ")
        case .share(let slot, let salt, let below):
            guard let key = request.values[slot] else {
                return "\(tables.attributes[slot]) is not there, so it is in no percentage"
            }
            let place = StableHash.place(key, salt: salt)
            return "\(tables.attributes[slot]) '\(key)' lies at \(PercentText.of(place)), must "
                + "lie below \(PercentText.of(below))"
        }
    }

    private func splitText(_ chosen: (split: Int, place: Int, key: String?)) -> String {
        let split = tables.splits[chosen.split]
        let attribute = tables.attributes[split.keySlot]
        let how =
            chosen.key.map { "\(attribute) '\($0)' lies at \(PercentText.of(chosen.place))" }
            ?? "\(attribute) is not there; drawn: \(PercentText.of(chosen.place))"
        var start = 0
        var arms: [String] = []
        for index in split.arms {
            let arm = tables.arms[index]
            arms.append(
                "\(tables.versions[arm.version].label) \(PercentText.of(arm.upTo - start))")
            start = arm.upTo
        }
        let name = split.experiment.map { "experiment '\($0)', " } ?? ""
        return "\(name)\(how) of \(arms.joined(separator: ", "))"
    }

    private func sayOutcome(
        _ decision: RoutingDecision, _ model: String?, _ value: (Attribute) -> String?,
        _ say: (String, String) -> Void
    ) {
        switch decision.outcome {
        case .unknownModel:
            let hint = ProblemList.hint(
                model ?? "",
                among: Array(tables.modelIndex.keys) + Array(tables.adapterIndex.keys))
            say("answer", "404: no rule matches, and there is no such model\(hint)")
        case .refused(let refusal):
            let it = tables.refusals[refusal]
            say("answer", "\(it.status): \(it.message)")
        case .version(let index):
            let version = tables.versions[index]
            let pool = tables.pools[version.pool]
            say(
                "answer",
                "model '\(tables.models[version.model].name)', version '\(version.label)'")
            let members = pool.members.map { member in
                let name = tables.upstreams[member.upstream].name
                return member.priority > 0 ? "\(name) (priority \(member.priority))" : name
            }
            say(
                "pool",
                "\(pool.name), \(pool.policy.balance.rawValue): "
                    + members.joined(separator: ", "))
            if let model, isAdapter(model, ofVersion: index) {
                say("asked as", "'\(model)'")
            } else if version.remoteModel != tables.models[version.model].name {
                say("asked as", "'\(version.remoteModel)'")
            }
            sayAdapter(pool.policy, adapter(named: model, version: index), value, say)
            sayMore(decision, index, say)
            let fallbacks = fallbacks(ofVersion: index).map { tables.models[$0].name }
            if !fallbacks.isEmpty { say("fallback", fallbacks.joined(separator: ", then ")) }
        }
    }
}
