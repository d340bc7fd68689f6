// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension Graph {
    /// Whether exactly one input slot of one node reads the value and it is no output of the graph.
    public func hasSingleUse(_ value: ValueID) -> Bool {
        consumers(of: value).count == 1 && !isOutput(value)
    }

    /// Lets everything that reads `old` read `new`, graph outputs included.
    ///
    /// A graph output keeps its name: `new` takes it over. That cannot be where `new` is an input,
    /// a constant or an output already; then the output stays on `old`.
    /// - Returns: whether nothing reads `old` any more.
    @discardableResult
    public mutating func replaceUses(of old: ValueID, with new: ValueID) -> Bool {
        for node in consumers(of: old) {
            for (slot, input) in inputs(of: node).enumerated() where input == old {
                setInput(slot, of: node, to: new)
            }
        }
        guard isOutput(old) else { return true }
        guard producer(of: new) != nil, !isOutput(new) else { return false }
        let name = valueNames[Int(old.index)]
        valueNames[Int(old.index)] = ""
        valueNames[Int(new.index)] = name
        for index in outputs.indices where outputs[index] == old { outputs[index] = new }
        return true
    }

    /// Whether `replaceUses(of:with:)` would leave nothing that reads `old`.
    public func canReplace(_ old: ValueID, with new: ValueID) -> Bool {
        !isOutput(old) || (producer(of: new) != nil && !isOutput(new))
    }

    /// The node that produces the value, if it is of this schema.
    public func producer(of value: ValueID?, is schema: OperatorSchema) -> NodeID? {
        guard let value, let node = producer(of: value), self.schema(of: node) == schema else {
            return nil
        }
        return node
    }

    /// The node's input at `index`; nil when absent.
    public func input(_ index: Int, of node: NodeID) -> ValueID? {
        let inputs = nodeInputs[Int(node.index)]
        return index < inputs.count ? inputs[index] : nil
    }

    /// The node's output at `index`; nil when absent.
    public func output(_ index: Int, of node: NodeID) -> ValueID? {
        let outputs = nodeOutputs[Int(node.index)]
        return index < outputs.count ? outputs[index] : nil
    }

    /// Live nodes so that each comes after what it reads, otherwise in their present order; nil
    /// when they form a cycle. Linear in the number of uses.
    package func topologicalOrder() -> [NodeID]? {
        enum Mark { case unseen, open, done }
        var marks = [Mark](repeating: .unseen, count: nodeCount)
        var order: [NodeID] = []
        order.reserveCapacity(nodeCount)
        var stack: [(node: NodeID, nextInput: Int)] = []
        for root in nodes where marks[Int(root.index)] == .unseen {
            marks[Int(root.index)] = .open
            stack.append((root, 0))
            while let (node, nextInput) = stack.last {
                let inputs = nodeInputs[Int(node.index)]
                guard nextInput < inputs.count else {
                    marks[Int(node.index)] = .done
                    order.append(node)
                    stack.removeLast()
                    continue
                }
                stack[stack.count - 1].nextInput += 1
                guard let input = inputs[nextInput], let needed = producer(of: input),
                    !isDead[Int(needed.index)]
                else { continue }
                switch marks[Int(needed.index)] {
                case .done: continue
                case .open: return nil
                case .unseen:
                    marks[Int(needed.index)] = .open
                    stack.append((needed, 0))
                }
            }
        }
        return order
    }

    /// The same graph without dead nodes and unread values, in topological order, ids renumbered.
    ///
    /// Inputs and outputs stay, read or not. A graph with a cycle keeps its node order, for
    /// `verify()` to report.
    public func compacted() -> Graph {
        var result = Graph(name: name)
        var renumbered = [ValueID?](repeating: nil, count: valueCount)
        for input in inputs {
            renumbered[Int(input.index)] = result.addInput(
                name: name(of: input), type: type(of: input))
        }
        func moved(_ value: ValueID) -> ValueID {
            if let known = renumbered[Int(value.index)] { return known }
            let new: ValueID
            if let tensor = constant(value) {
                new = result.addConstant(name: name(of: value), tensor)
            } else {
                new = result.addValue(name: name(of: value), type: type(of: value))
            }
            renumbered[Int(value.index)] = new
            return new
        }
        for node in topologicalOrder() ?? Array(nodes) {
            let newInputs = inputs(of: node).map { $0.map(moved) }
            let newOutputs = outputs(of: node).map { output in
                output.flatMap { constant($0) == nil ? moved($0) : nil }
            }
            result.addNode(
                schema(of: node), name: name(of: node), inputs: newInputs, outputs: newOutputs,
                attributes: attributes[Int(node.index)])
        }
        result.outputs = outputs.map(moved)
        result.declaredOutputs = declaredOutputs
        return result
    }
}
