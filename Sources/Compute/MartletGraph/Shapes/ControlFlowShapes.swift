// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// Operators that run graphs. Their formal inputs come first, captured values after them
// (`GraphBody`).
extension OperatorSchema {
    /// Input: a condition. Bodies: then_branch, else_branch.
    public static let `if` = OperatorSchema("If") { context throws(GraphError) in
        let inputs = try context.bodyInputs(.branch)
        let chosen = try context.results(of: "then_branch", inputs)
        let other = try context.results(of: "else_branch", inputs)
        try context.expectOutputs(chosen)
        try context.expectOutputs(other)
        for index in context.outputs.indices {
            guard let chosen, let other else { continue }
            try context.setOutput(index, type: chosen[index].generalised(with: other[index]))
        }
    }

    /// Inputs: how often?, whether to begin?, carried values. Body: the iteration, the condition,
    /// carried values, to the condition, carried values, and what is collected.
    public static let loop = OperatorSchema("Loop") { context throws(GraphError) in
        let carried = Swift.max(0, context.formalInputCount - 2)
        let (inputs, results) = try context.settled("body", .loop, firstInput: 2, firstResult: 1)
        guard let results else { return try context.setUnknown(carried: carried, firstInput: 2) }
        try context.expectOutputs(Array(results.dropFirst()))
        for index in context.outputs.indices {
            let result = results[index + 1]
            if index < carried {
                try context.setOutput(index, type: result.generalised(with: inputs[index + 2]))
            } else {
                let rows = result.dimensions.map { [context.freshDimension()] + $0 }
                try context.setOutput(index, result.elementType, rows)
            }
        }
    }

    /// Inputs: states, then what is scanned slice by slice (`num_scan_inputs`). Body: states and
    /// slices, to states and what is collected.
    public static let scan = OperatorSchema("Scan") { context throws(GraphError) in
        let states = try context.scanStateCount()
        guard !context.isBatchedScan else {
            return try context.setUnknown(carried: 0, firstInput: 0)
        }
        let (inputs, results) = try context.settled("body", .scan, firstInput: 0, firstResult: 0)
        guard let results else { return try context.setUnknown(carried: states, firstInput: 0) }
        try context.expectOutputs(results)
        let axes = context.ints("scan_output_axes") ?? []
        for index in context.outputs.indices {
            let result = results[index]
            if index < states {
                try context.setOutput(index, type: result.generalised(with: inputs[index]))
                continue
            }
            var shape = result.dimensions
            if let rank = shape?.count {
                let stated = index - states < axes.count ? axes[index - states] : 0
                shape?.insert(
                    context.freshDimension(), at: try context.axis(stated, rank: rank + 1))
            }
            try context.setOutput(index, result.elementType, shape)
        }
    }

    /// Inputs: a sequence, further sequences and tensors. Body: an element of each sequence and the
    /// tensors, to elements of the results.
    public static let sequenceMap = OperatorSchema("SequenceMap") { context throws(GraphError) in
        let results = try context.results(of: "body", context.bodyInputs(.map))
        try context.expectOutputs(results)
        for index in context.outputs.indices {
            try context.setOutput(
                index, type: (results?[index] ?? ValueType()).held(as: .sequence))
        }
    }
}

/// What a node does with its body.
enum BodyForm { case branch, loop, scan, map }

extension ShapeContext {
    var formalInputCount: Int { attributes.formalInputCount(of: inputs.count) }

    /// Version 8 scanned every row of a batch, up to stated lengths.
    var isBatchedScan: Bool { int("batched") != 0 }

    func scanStateCount() throws(GraphError) -> Int {
        let scanned = int("num_scan_inputs")
        let inputs = formalInputCount - (isBatchedScan ? 1 : 0)
        guard scanned > 0, scanned <= inputs else {
            throw failure("num_scan_inputs \(scanned)", code: .invalidModel)
        }
        return inputs - scanned
    }

    /// The types of a body's own inputs on the first iteration.
    func bodyInputs(_ form: BodyForm) throws(GraphError) -> [ValueType] {
        let formal = inputs.prefix(formalInputCount).map { $0 ?? ValueType() }
        switch form {
        case .loop:
            return [
                ValueType(elementType: .int64, dimensions: []),
                ValueType(elementType: .bool, dimensions: []),
            ] + formal.dropFirst(2)
        case .scan:
            let states = try scanStateCount()
            if isBatchedScan {
                return formal.dropFirst().map { ValueType(elementType: $0.elementType) }
            }
            let axes = ints("scan_input_axes") ?? []
            var types = Array(formal.prefix(states))
            for (index, type) in formal.dropFirst(states).enumerated() {
                var slice = type
                if let rank = slice.dimensions?.count {
                    let stated = index < axes.count ? axes[index] : 0
                    slice.dimensions?.remove(at: try axis(stated, rank: rank))
                }
                types.append(slice)
            }
            return types
        case .map: return formal.map { $0.held(as: .tensor) }
        case .branch: return []
        }
    }

    /// The types of a body's results for its own inputs; nil where bodies are not followed.
    func results(
        of name: String, _ own: [ValueType]
    ) throws(GraphError) -> [ValueType]? {
        guard followsBodies, bodyDepth < ShapeContext.bodyDepthMax else { return nil }
        let bodies = attributes.bodies(inputCount: inputs.count)
        guard let body = bodies.first(where: { $0.name == name }) else {
            throw failure("it has no graph '\(name)'", code: .invalidModel)
        }
        guard own.count == body.ownInputCount else {
            throw failure(
                "'\(name)' takes \(body.ownInputCount) inputs, is given \(own.count)",
                code: .invalidModel)
        }
        let types = own + body.captures.map { inputs[$0] ?? ValueType() }
        let inference = ShapeInference(body.graph)
        return try inference.results(types, symbols: symbols, bodyDepth: bodyDepth + 1)
    }

    /// The body's input and result types that hold for every iteration: what changes from one to
    /// the next is not known.
    func settled(
        _ name: String, _ form: BodyForm, firstInput: Int, firstResult: Int
    ) throws(GraphError) -> (inputs: [ValueType], results: [ValueType]?) {
        var inputs = try bodyInputs(form)
        guard let first = try results(of: name, inputs) else { return (inputs, nil) }
        let carried =
            form == .scan ? try scanStateCount() : Swift.max(0, inputs.count - firstInput)
        var isStable = true
        for index in 0..<carried where firstResult + index < first.count {
            let before = inputs[firstInput + index]
            let general = before.generalised(with: first[firstResult + index])
            if general != before {
                isStable = false
                inputs[firstInput + index] = ValueType(
                    elementType: general.elementType, container: general.container)
            }
        }
        if isStable { return (inputs, first) }
        return (inputs, try results(of: name, inputs))
    }

    mutating func setUnknown(carried: Int, firstInput: Int) throws(GraphError) {
        for index in 0..<Swift.min(carried, outputs.count) {
            guard firstInput + index < inputs.count, let type = inputs[firstInput + index] else {
                continue
            }
            try setOutput(
                index, type: ValueType(elementType: type.elementType, container: type.container))
        }
    }

    func expectOutputs(_ results: [ValueType]?) throws(GraphError) {
        guard let results, results.count < outputs.count else { return }
        throw failure(
            "\(outputs.count) outputs of a graph that makes \(results.count)", code: .invalidModel)
    }
}

extension ValueType {
    /// What is known of a value that is either.
    func generalised(with other: ValueType) -> ValueType {
        var result = self
        if elementType != other.elementType {
            result.elementType = elementType ?? other.elementType
        }
        if let dimensions, let others = other.dimensions, dimensions.count == others.count,
            dimensions == others
        {
            result.dimensions = dimensions
        } else {
            result.dimensions = nil
        }
        switch (container, other.container) {
        case (.optionalTensor, .tensor), (.tensor, .optionalTensor):
            result.container = .optionalTensor
        case (.optionalSequence, .sequence), (.sequence, .optionalSequence):
            result.container = .optionalSequence
        default: break
        }
        return result
    }
}

extension Graph {
    /// Writes into every body what is known of its inputs: their types, and those constants that
    /// the node is given.
    package mutating func bindBodies(depth: Int = 0) throws(GraphError) {
        guard depth < ShapeContext.bodyDepthMax else { return }
        guard nodes.contains(where: { hasBodies($0) }) else { return }
        let inference = ShapeInference(self)
        let inferred = try inference.run()
        for node in Array(nodes) where hasBodies(node) {
            let bodies = bodies(of: node)
            let context = inference.context(of: node, inferred)
            for body in bodies {
                let own: [ValueType]
                switch schema(of: node) {
                case .loop:
                    own = try context.settled("body", .loop, firstInput: 2, firstResult: 1).inputs
                case .scan:
                    own = try context.settled("body", .scan, firstInput: 0, firstResult: 0).inputs
                case .sequenceMap: own = try context.bodyInputs(.map)
                default: own = []
                }
                try bind(body, own, of: node, inferred, depth)
            }
        }
    }

    private mutating func bind(
        _ body: GraphBody, _ own: [ValueType], of node: NodeID, _ inferred: InferredTypes,
        _ depth: Int
    ) throws(GraphError) {
        var types = own.enumerated().map { index, type in type.renamed("\(body.name).\(index)") }
        var constants: [Int: Tensor] = [:]
        var kept: [Int64] = []
        for (index, place) in body.captures.enumerated() {
            let value = inputs(of: node)[place]
            let type = value.map { inferred.type(of: $0) } ?? ValueType()
            types.append(type.renamed("\(body.name).capture\(index)"))
            if let tensor = value.flatMap({ constant($0) }) {
                constants[own.count + index] = tensor
            } else {
                kept.append(Int64(place))
            }
        }
        var graph = body.graph.bound(to: types, constants: constants)
        try graph.inferShapes()
        try graph.bindBodies(depth: depth + 1)
        attributes[Int(node.index)][body.name] = .graph(graph)
        attributes[Int(node.index)][GraphBody.capturesAttribute(of: body.name)] = .ints(kept)
    }
}

extension ValueType {
    /// The same, with nameless sizes named: one graph's are not another's.
    fileprivate func renamed(_ label: String) -> ValueType {
        var copy = self
        copy.dimensions = dimensions?.enumerated().map { axis, size in
            size.terms.contains { $0.symbol.hasPrefix("?") }
                ? Dimension(symbol: "\(label).\(axis)") : size
        }
        return copy
    }
}
