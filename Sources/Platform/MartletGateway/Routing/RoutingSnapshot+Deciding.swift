// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

/// Told of each step of a decision; `NoTrace` vanishes when it is compiled.
protocol RoutingTrace {
    /// `failed` is the first predicate that did not hold.
    mutating func saw(rule: Int, failed: Int?)
    mutating func chose(split: Int, place: Int, key: String?)
}

struct NoTrace: RoutingTrace {
    mutating func saw(rule: Int, failed: Int?) {}
    mutating func chose(split: Int, place: Int, key: String?) {}
}

/// The rule lists that a request must look through, read in the order of the rules.
private struct RuleCursors {
    static let listsMax = 20
    private var places = InlineArray<20, Int32>(repeating: 0)
    private var ends = InlineArray<20, Int32>(repeating: 0)
    private var count = 0

    var isFull: Bool { count == RuleCursors.listsMax }

    mutating func add(_ range: Range<Int>) {
        guard !range.isEmpty, !isFull else { return }
        places[count] = Int32(truncatingIfNeeded: range.lowerBound)
        ends[count] = Int32(truncatingIfNeeded: range.upperBound)
        count += 1
    }

    /// The next rule in order over all lists; a rule that stands in several comes once.
    mutating func next(_ lists: [Int32]) -> Int? {
        var best = Int32.max
        for index in 0..<count where places[index] < ends[index] {
            best = min(best, lists[Int(places[index])])
        }
        guard best < .max else { return nil }
        for index in 0..<count where places[index] < ends[index] {
            if lists[Int(places[index])] == best { places[index] += 1 }
        }
        return Int(best)
    }
}

extension RoutingSnapshot {
    /// Decides where a request goes. `draw` is 64 random bits: they stand in for a key that the
    /// request does not have.
    package func route(_ request: borrowing RoutingRequest, draw: UInt64) -> RoutingDecision {
        var trace = NoTrace()
        return decide(request, draw, &trace)
    }

    /// The number of a model of that name or alias, or of the one that an adapter of that name
    /// belongs to.
    package func number(ofModel name: String?) -> Int? {
        name.flatMap { tables.modelIndex[$0] ?? tables.adapterIndex[$0] }
    }

    /// Whether requests for that name keep it at a version's upstreams: it is an adapter of the
    /// version's model.
    package func isAdapter(_ name: String, ofVersion version: Int) -> Bool {
        tables.adapterIndex[name] == tables.versions[version].model
    }

    /// The adapter that a request for that name asks a version's upstreams for.
    package func adapter(named name: String?, version: Int) -> String? {
        if let name, isAdapter(name, ofVersion: version) { return name }
        return tables.versions[version].isAdapter ? tables.versions[version].remoteModel : nil
    }

    func decide(
        _ request: borrowing RoutingRequest, _ draw: UInt64, _ trace: inout some RoutingTrace
    ) -> RoutingDecision {
        precondition(
            request.values.count == tables.attributes.count,
            "the request's values were filled for another snapshot")
        let model = request.modelNumber ?? number(ofModel: request.model)
        if tables.rules.isEmpty {
            guard let model else { return RoutingDecision(outcome: .unknownModel) }
            return settle(tables.models[model].standard, nil, request, draw, &trace)
        }
        var cursors = candidates(request, model)
        while let rule = cursors.next(tables.ruleLists) {
            let failed = firstFailure(rule, request, model)
            trace.saw(rule: rule, failed: failed)
            if failed == nil {
                return settle(tables.rules[rule].action, rule, request, draw, &trace)
            }
        }
        guard let model else { return RoutingDecision(outcome: .unknownModel) }
        return settle(tables.models[model].standard, nil, request, draw, &trace)
    }

    private func candidates(
        _ request: borrowing RoutingRequest, _ model: Int?
    ) -> RuleCursors {
        var cursors = RuleCursors()
        if let model { cursors.add(tables.rulesByModel[model]) }
        cursors.add(tables.generalRules)
        guard let path = request.values[0] else { return cursors }
        if !tables.rulesByPath.isEmpty, let range = tables.rulesByPath[path] {
            cursors.add(range)
        }
        guard !tables.rulesByPrefix.isEmpty else { return cursors }
        var hash = PathHash()
        var length = 0
        for byte in path.utf8 {
            hash.add(byte)
            length += 1
            guard byte == UInt8(ascii: "/"), !cursors.isFull,
                let found = tables.rulesByPrefix[hash.value],
                found.prefix.utf8.count == length, path.utf8.starts(with: found.prefix.utf8)
            else { continue }
            cursors.add(found.rules)
        }
        return cursors
    }

    private func firstFailure(
        _ rule: Int, _ request: borrowing RoutingRequest, _ model: Int?
    ) -> Int? {
        for index in tables.rules[rule].predicates {
            let holds: Bool
            switch tables.predicates[index] {
            case .value(let slot, let test): holds = test.holds(request.values[slot])
            case .anyOf(let slot, let tests):
                let value = request.values[slot]
                holds = tests.contains { $0.holds(value) }
            case .model(let tests):
                let name = model.map { tables.models[$0].name } ?? request.model
                holds = tests.contains { $0.holds(name) }
            case .share(let slot, let salt, let below):
                holds =
                    request.values[slot].map { StableHash.place($0, salt: salt) < below }
                    ?? false
            }
            if !holds { return index }
        }
        return nil
    }

    func settle(
        _ action: RoutingTables.Action, _ rule: Int?, _ request: borrowing RoutingRequest,
        _ draw: UInt64, _ trace: inout some RoutingTrace
    ) -> RoutingDecision {
        switch action {
        case .version(let version): return RoutingDecision(outcome: .version(version), rule: rule)
        case .refuse(let refusal): return RoutingDecision(outcome: .refused(refusal), rule: rule)
        case .model(let model):
            // A model's own way is a version or a split, so this goes one level deep.
            return settle(tables.models[model].standard, rule, request, draw, &trace)
        case .split(let index):
            let split = tables.splits[index]
            let key = request.values[split.keySlot]
            let place =
                key.map { StableHash.place($0, salt: split.salt) }
                ?? StableHash.place(StableHash.mixed(draw))
            trace.chose(split: index, place: place, key: key)
            var arm = split.arms.lowerBound
            while arm + 1 < split.arms.upperBound, place >= tables.arms[arm].upTo { arm += 1 }
            return RoutingDecision(
                outcome: .version(tables.arms[arm].version), rule: rule, split: index,
                place: place, isSticky: key != nil)
        }
    }
}

/// FNV-1a over a path's bytes, readable after each.
struct PathHash {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    mutating func add(_ byte: UInt8) {
        value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }

    static func of(_ prefix: String) -> UInt64 {
        var hash = PathHash()
        for byte in prefix.utf8 { hash.add(byte) }
        return hash.value
    }
}
