// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension ByteAutomaton {
    /// Removes every way that leads nowhere: answers that are begun can then be ended.
    /// - Returns: false when nothing is allowed at all.
    mutating func removeDeadEnds() -> Bool {
        let lives = livingStates()
        guard lives[Int(start)] else { return false }
        for state in edges.indices {
            edges[state].removeAll { !lives[Int($0.target)] }
            silent[state].removeAll { !lives[Int($0)] }
            calls[state].removeAll { !lives[Int($0.target)] || !lives[Int(rules[$0.rule].start)] }
        }
        return true
    }

    /// From which states the end of their rule can be reached. Cost: linear.
    private func livingStates() -> [Bool] {
        // Who becomes alive with a state: (source, the rule that must be alive too).
        var before: [[(source: Int, rule: Int?)]] = Array(repeating: [], count: edges.count)
        var callers: [[(source: Int, target: Int)]] = Array(repeating: [], count: rules.count)
        for state in edges.indices {
            for edge in edges[state] { before[Int(edge.target)].append((state, nil)) }
            for target in silent[state] { before[Int(target)].append((state, nil)) }
            for call in calls[state] {
                before[Int(call.target)].append((state, call.rule))
                callers[call.rule].append((state, Int(call.target)))
            }
        }
        var ruleOfStart: [Int: Int] = [:]
        for (index, rule) in rules.enumerated() { ruleOfStart[Int(rule.start)] = index }
        var lives = Array(repeating: false, count: edges.count)
        var open = [Int(end)] + rules.map { Int($0.end) }
        while let state = open.popLast() {
            if lives[state] { continue }
            lives[state] = true
            for (source, rule) in before[state] where !lives[source] {
                if let rule, !lives[Int(rules[rule].start)] { continue }
                open.append(source)
            }
            guard let rule = ruleOfStart[state] else { continue }
            for (source, target) in callers[rule] where lives[target] { open.append(source) }
        }
        return lives
    }

    // MARK: Left recursion

    /// Whether what follows a call is only the end of the rule that makes it.
    func isTail(_ state: State, ends: [Bool]) -> Bool {
        var open = [state]
        var seen: Set<State> = []
        var hasEnd = false
        while let state = open.popLast() {
            guard seen.insert(state).inserted else { continue }
            guard edges[Int(state)].isEmpty, calls[Int(state)].isEmpty, seen.count <= 64 else {
                return false
            }
            if ends[Int(state)] { hasEnd = true }
            open += silent[Int(state)]
        }
        return hasEnd
    }

    /// The states that end a rule, or everything.
    var endStates: [Bool] {
        var ends = Array(repeating: false, count: edges.count)
        ends[Int(end)] = true
        for rule in rules { ends[Int(rule.end)] = true }
        return ends
    }

    /// A rule that calls itself before any byte and has something to do afterwards: walking it
    /// would never end. Nil when there is none.
    func leftRecursiveRule(tails: [Bool]) -> Int? {
        let isEmptyRule = emptyRules()
        // What each rule calls first, and whether nothing is left to do then.
        var first: [[(rule: Int, isTail: Bool)]] = []
        for rule in rules {
            var found: [(rule: Int, isTail: Bool)] = []
            visitSilently(rule.start, isEmptyRule) {
                found.append(($0.rule, tails[Int($0.target)]))
            }
            first.append(found)
        }
        for (rule, callees) in first.enumerated() {
            for callee in callees where !callee.isTail {
                // Does the callee lead back?
                var open = [callee.rule]
                var seen: Set<Int> = []
                while let next = open.popLast() {
                    guard seen.insert(next).inserted else { continue }
                    if next == rule { return rule }
                    open += first[next].map(\.rule)
                }
            }
        }
        return nil
    }

    /// The calls that are reached from a state without a byte.
    private func visitSilently(
        _ state: State, _ isEmptyRule: [Bool], _ body: (Call) -> Void
    ) {
        var open = [state]
        var seen: Set<State> = []
        while let state = open.popLast() {
            guard seen.insert(state).inserted else { continue }
            open += silent[Int(state)]
            for call in calls[Int(state)] {
                body(call)
                if isEmptyRule[call.rule] { open.append(call.target) }
            }
        }
    }

    /// The rules that an empty text fits.
    private func emptyRules() -> [Bool] {
        var isEmpty = Array(repeating: false, count: rules.count)
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for (index, rule) in rules.enumerated() where !isEmpty[index] {
                var open = [rule.start]
                var seen: Set<State> = []
                while let state = open.popLast() {
                    guard seen.insert(state).inserted else { continue }
                    open += silent[Int(state)]
                    open += calls[Int(state)].filter { isEmpty[$0.rule] }.map(\.target)
                }
                if seen.contains(rule.end) {
                    isEmpty[index] = true
                    hasChanged = true
                }
            }
        }
        return isEmpty
    }
}
