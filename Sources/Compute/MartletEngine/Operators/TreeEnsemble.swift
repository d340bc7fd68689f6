// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletGraph
internal import MartletTensor

extension NativeOperator {
    static let treeEnsemble = NativeOperator(.treeEnsemble) { node in
        let input = try node.cast(node.input(), to: .float64)
        let trees = try DecisionTrees(node, features: input.shape[1])
        try node.produce(as: .float64) { output in
            try node.compute { run throws(StepFault) in
                let x = run.values(input, as: Double.self)
                let y = run.values(output, as: Double.self)
                for row in 0..<input.shape[0] { trees.run(x, y, row: row) }
            }
        }
    }
}

/// Trees of comparisons whose leaves add up, read and checked: every branch leads on to a node or
/// leaf that exists, and no path is a cycle.
private struct DecisionTrees: Sendable {
    private struct Branch: Sendable {
        var feature: Int
        var mode: Int
        var split: Double
        var members: Set<Double>
        var missingIsTrue: Bool
        /// A node, or the complement of a leaf.
        var onTrue: Int
        var onFalse: Int
    }

    private let branches: [Branch]
    private let roots: [Int]
    private let leafTargets: [Int]
    private let leafWeights: [Double]
    private let features: Int
    private let targets: Int
    private let aggregate: Int
    private let transform: Int

    init(_ node: Lowering, features: Int) throws {
        self.features = features
        targets = node.int("n_targets", default: 1)
        aggregate = node.int("aggregate_function", default: 1)
        transform = node.int("post_transform")
        guard (0...3).contains(aggregate), [0, 1, 2, 3].contains(transform) else {
            throw node.failure("aggregate or transform \(aggregate), \(transform)")
        }
        roots = node.ints("tree_roots") ?? []
        leafTargets = node.ints("leaf_targetids") ?? []
        leafWeights = try DecisionTrees.reals(node, "leaf_weights")
        branches = try DecisionTrees.readBranches(node, leaves: leafTargets.count)
        let (features, targets, branches) = (features, targets, branches)
        guard leafWeights.count == leafTargets.count,
            leafTargets.allSatisfy({ $0 >= 0 && $0 < targets }),
            roots.allSatisfy({ branches.indices.contains($0) }),
            branches.allSatisfy({ $0.feature >= 0 && $0.feature < features })
        else { throw node.failure("a leaf, root or feature is out of range", .invalidModel) }
        try checkPaths(node)
    }

    private static func reals(_ node: Lowering, _ name: String) throws -> [Double] {
        guard let tensor = node.attributes[name]?.tensor else { return [] }
        switch tensor.elementType {
        case .float32: return try tensor.elements(as: Float.self).map { Double($0) }
        case .float64: return try tensor.elements(as: Double.self)
        default: throw node.failure("'\(name)' of type \(tensor.elementType.displayName)")
        }
    }

    private static func readBranches(_ node: Lowering, leaves: Int) throws -> [Branch] {
        let features = node.ints("nodes_featureids") ?? []
        let splits = try reals(node, "nodes_splits")
        let modes =
            try node.attributes["nodes_modes"]?.tensor?.elements(as: UInt8.self)
            ?? [UInt8](repeating: 0, count: features.count)
        let lists = [
            "nodes_truenodeids", "nodes_trueleafs", "nodes_falsenodeids", "nodes_falseleafs",
        ]
        .map { node.ints($0) ?? [] }
        let missing = node.ints("nodes_missing_value_tracks_true") ?? []
        let count = features.count
        guard splits.count == count, modes.count == count,
            lists.allSatisfy({ $0.count == count }), missing.isEmpty || missing.count == count
        else { throw node.failure("lists of different lengths", .invalidModel) }
        var members = try reals(node, "membership_values").split(
            omittingEmptySubsequences: false, whereSeparator: \.isNaN)[...]
        func target(_ number: Int, isLeaf: Int) throws -> Int {
            guard number >= 0, number < (isLeaf != 0 ? leaves : count) else {
                throw node.failure("branch to \(number)", .invalidModel)
            }
            return isLeaf != 0 ? ~number : number
        }
        return try (0..<count).map { index in
            let mode = Int(modes[index])
            guard mode <= 6 else { throw node.failure("mode \(mode)", .invalidModel) }
            return Branch(
                feature: features[index], mode: mode, split: splits[index],
                members: mode == 6 ? Set(members.popFirst() ?? []) : [],
                missingIsTrue: missing.isEmpty ? false : missing[index] != 0,
                onTrue: try target(lists[0][index], isLeaf: lists[1][index]),
                onFalse: try target(lists[2][index], isLeaf: lists[3][index]))
        }
    }

    private func checkPaths(_ node: Lowering) throws {
        // 0 unknown, 1 on the path, 2 done.
        var state = [UInt8](repeating: 0, count: branches.count)
        for root in roots where state[root] == 0 {
            var path = [root]
            while let index = path.last {
                if state[index] == 0 {
                    state[index] = 1
                    for next in [branches[index].onTrue, branches[index].onFalse] where next >= 0 {
                        if state[next] == 1 { throw node.failure("a cycle", .invalidModel) }
                        if state[next] == 0 { path.append(next) }
                    }
                } else {
                    state[index] = 2
                    path.removeLast()
                }
            }
        }
    }

    func run(_ x: Values<Double>, _ y: Values<Double>, row: Int) {
        let base = row * targets
        var seen = [Bool](repeating: false, count: targets)
        for target in 0..<targets { y[base + target] = 0 }
        for root in roots {
            var place = root
            while place >= 0 {
                let branch = branches[place]
                place =
                    isTrue(branch, x[row * features + branch.feature])
                    ? branch.onTrue : branch.onFalse
            }
            let leaf = ~place
            let target = leafTargets[leaf]
            let (old, new) = (y[base + target], leafWeights[leaf])
            switch aggregate {
            case 2: y[base + target] = seen[target] ? Swift.min(old, new) : new
            case 3: y[base + target] = seen[target] ? Swift.max(old, new) : new
            default: y[base + target] = old + new
            }
            seen[target] = true
        }
        if aggregate == 0 {
            for target in 0..<targets { y[base + target] /= Double(Swift.max(roots.count, 1)) }
        }
        finish(y, base)
    }

    private func isTrue(_ branch: Branch, _ value: Double) -> Bool {
        if value.isNaN { return branch.missingIsTrue }
        return switch branch.mode {
        case 0: value <= branch.split
        case 1: value < branch.split
        case 2: value >= branch.split
        case 3: value > branch.split
        case 4: value == branch.split
        case 5: value != branch.split
        default: branch.members.contains(value)
        }
    }

    private func finish(_ y: Values<Double>, _ base: Int) {
        if transform == 0 { return }
        if transform == 2 {
            for index in base..<(base + targets) { y[index] = 1 / (1 + exp(-y[index])) }
            return
        }
        // Softmax; with 3, zeros stay zeros.
        var largest = -Double.infinity
        for index in base..<(base + targets) { largest = Swift.max(largest, y[index]) }
        var sum = 0.0
        for index in base..<(base + targets) where transform == 1 || y[index] != 0 {
            y[index] = exp(y[index] - largest)
            sum += y[index]
        }
        if sum == 0 { return }
        for index in base..<(base + targets) { y[index] /= sum }
    }
}
