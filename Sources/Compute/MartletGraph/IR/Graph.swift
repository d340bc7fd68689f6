// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// A value of the graph: an input, an initialiser, or the output of one node.
public struct ValueID: Hashable, Sendable, Comparable {
    public let index: Int32
    public init(index: Int32) { self.index = index }
    public static func < (left: ValueID, right: ValueID) -> Bool { left.index < right.index }
}

/// A node of the graph: one operator applied to values.
public struct NodeID: Hashable, Sendable, Comparable {
    public let index: Int32
    public init(index: Int32) { self.index = index }
    public static func < (left: NodeID, right: NodeID) -> Bool { left.index < right.index }
}

/// What holds a value's elements.
public enum ValueContainer: Hashable, Sendable {
    case tensor
    /// Tensors in order; their number is known at the run only.
    case sequence
    /// A tensor or nothing.
    case optionalTensor
    /// A sequence or nothing.
    case optionalSequence
}

/// What is known of a value before it is computed; nil means not known yet.
public struct ValueType: Hashable, Sendable {
    /// For sequences and optional values, what is known of every tensor inside.
    public var elementType: ElementType?
    /// The dimensions, outermost first; nil when not even the rank is known.
    public var dimensions: [Dimension]?
    public var container: ValueContainer

    public init(
        elementType: ElementType? = nil, dimensions: [Dimension]? = nil,
        container: ValueContainer = .tensor
    ) {
        self.elementType = elementType
        self.dimensions = dimensions
        self.container = container
    }

    /// The same elements in another container.
    public func held(as container: ValueContainer) -> ValueType {
        ValueType(elementType: elementType, dimensions: dimensions, container: container)
    }

    /// The shape, when every dimension is a number.
    public var fixedShape: Shape? {
        guard container == .tensor, let dimensions else { return nil }
        var shape = Shape()
        for dimension in dimensions {
            guard let fixed = dimension.fixed, shape.append(fixed) else { return nil }
        }
        return shape
    }
}

/// A dataflow graph in static single assignment: structure of arrays, small ids, no node objects.
///
/// Invariants (checked by `verify()`): every value has at most one producer; node order is a
/// topological order; every id is in range. Values and nodes are appended, never renumbered;
/// passes that append nodes or leave dead ones behind end with `compacted()`, which restores the
/// order.
public struct Graph: Sendable {
    public var name: String
    public private(set) var inputs: [ValueID] = []
    public var outputs: [ValueID] = []
    /// What a file says of the outputs, in their order; told to users where inference knows less,
    /// and believed by nothing else. Empty where nothing is said.
    public var declaredOutputs: [ValueType] = []

    // Values, by ValueID.
    public internal(set) var valueNames: [String] = []
    public var valueTypes: [ValueType] = []
    public private(set) var constants: [ValueID: Tensor] = [:]
    public private(set) var producers: [NodeID?] = []
    /// The nodes that read a value, one entry for each input slot that does.
    public private(set) var consumers: [[NodeID]] = []

    // Nodes, by NodeID.
    public private(set) var operators: [OperatorSchema] = []
    public private(set) var nodeNames: [String] = []
    public private(set) var nodeInputs: [[ValueID?]] = []
    public private(set) var nodeOutputs: [[ValueID?]] = []
    public var attributes: [[String: AttributeValue]] = []
    public private(set) var isDead: [Bool] = []

    public init(name: String) {
        self.name = name
    }

    public var valueCount: Int { valueNames.count }
    public var nodeCount: Int { operators.count }

    /// Live nodes in topological order.
    public var nodes: some Sequence<NodeID> {
        (0..<operators.count).lazy.filter { !isDead[$0] }.map { NodeID(index: Int32($0)) }
    }

    // MARK: Reading

    public func name(of value: ValueID) -> String { valueNames[Int(value.index)] }
    public func type(of value: ValueID) -> ValueType { valueTypes[Int(value.index)] }
    public func producer(of value: ValueID) -> NodeID? { producers[Int(value.index)] }
    public func constant(_ value: ValueID) -> Tensor? { constants[value] }
    public func schema(of node: NodeID) -> OperatorSchema { operators[Int(node.index)] }
    public func name(of node: NodeID) -> String { nodeNames[Int(node.index)] }
    public func inputs(of node: NodeID) -> [ValueID?] { nodeInputs[Int(node.index)] }
    public func outputs(of node: NodeID) -> [ValueID?] { nodeOutputs[Int(node.index)] }
    public func attribute(_ name: String, of node: NodeID) -> AttributeValue? {
        attributes[Int(node.index)][name]
    }
    /// The nodes that read a value, one entry for each input slot that does, in no stated order.
    public func consumers(of value: ValueID) -> [NodeID] { consumers[Int(value.index)] }
    public func isOutput(_ value: ValueID) -> Bool { outputs.contains(value) }

    // MARK: Building

    public mutating func addValue(name: String, type: ValueType = ValueType()) -> ValueID {
        valueNames.append(name)
        valueTypes.append(type)
        producers.append(nil)
        consumers.append([])
        return ValueID(index: Int32(valueNames.count - 1))
    }

    public mutating func addInput(name: String, type: ValueType) -> ValueID {
        let value = addValue(name: name, type: type)
        inputs.append(value)
        return value
    }

    /// States the inputs, which must be values that are there and that nothing makes.
    package mutating func setInputs(_ values: [ValueID]) { inputs = values }

    /// Leaves only these inputs, by place; the others must have become constants.
    mutating func keepInputs(_ places: [Int]) { inputs = places.map { inputs[$0] } }

    public mutating func addConstant(name: String, _ tensor: Tensor) -> ValueID {
        let value = addValue(name: name)
        setConstant(value, tensor)
        return value
    }

    /// Turns a computed value into a constant (constant folding); its node may then be dead.
    public mutating func setConstant(_ value: ValueID, _ tensor: Tensor) {
        constants[value] = tensor
        producers[Int(value.index)] = nil
        valueTypes[Int(value.index)] = ValueType(
            elementType: tensor.elementType, dimensions: tensor.shape.map { Dimension($0) })
    }

    /// Forgets a constant's contents, so that their memory can go; nothing may read it any more.
    public mutating func dropConstant(_ value: ValueID) {
        constants[value] = nil
    }

    @discardableResult
    public mutating func addNode(
        _ schema: OperatorSchema, name: String = "", inputs: [ValueID?], outputs: [ValueID?],
        attributes: [String: AttributeValue] = [:]
    ) -> NodeID {
        let node = NodeID(index: Int32(operators.count))
        operators.append(schema)
        nodeNames.append(name)
        nodeInputs.append(inputs)
        nodeOutputs.append(outputs)
        self.attributes.append(attributes)
        isDead.append(false)
        for case let output? in outputs { producers[Int(output.index)] = node }
        for case let input? in inputs { consumers[Int(input.index)].append(node) }
        return node
    }

    /// Adds a node with one new output and returns that output: the form builders use.
    public mutating func apply(
        _ schema: OperatorSchema, _ inputs: ValueID?..., name: String = "",
        attributes: [String: AttributeValue] = [:]
    ) -> ValueID {
        let output = addValue(name: name.isEmpty ? "\(schema.name)_\(nodeCount)" : name + ".out")
        addNode(schema, name: name, inputs: inputs, outputs: [output], attributes: attributes)
        return output
    }

    // MARK: Editing

    public mutating func setInput(_ index: Int, of node: NodeID, to value: ValueID?) {
        if let old = nodeInputs[Int(node.index)][index] { forget(node, asConsumerOf: old) }
        nodeInputs[Int(node.index)][index] = value
        if let value { consumers[Int(value.index)].append(node) }
    }

    /// Makes the node another operator with the same outputs; it keeps its place in the order, so
    /// the new inputs must be defined before it.
    public mutating func rewrite(
        _ node: NodeID, as schema: OperatorSchema, inputs: [ValueID?],
        attributes: [String: AttributeValue] = [:]
    ) {
        let index = Int(node.index)
        for case let old? in nodeInputs[index] { forget(node, asConsumerOf: old) }
        operators[index] = schema
        nodeInputs[index] = inputs
        self.attributes[index] = attributes
        for case let input? in inputs { consumers[Int(input.index)].append(node) }
    }

    public mutating func removeNode(_ node: NodeID) {
        let index = Int(node.index)
        guard !isDead[index] else { return }
        isDead[index] = true
        for case let output? in nodeOutputs[index] where producers[Int(output.index)] == node {
            producers[Int(output.index)] = nil
        }
        for case let input? in nodeInputs[index] { forget(node, asConsumerOf: input) }
    }

    /// Makes `value` the output of `node` at `index`; the former output has no producer then.
    public mutating func setOutput(_ index: Int, of node: NodeID, to value: ValueID?) {
        if let old = nodeOutputs[Int(node.index)][index], producers[Int(old.index)] == node {
            producers[Int(old.index)] = nil
        }
        nodeOutputs[Int(node.index)][index] = value
        if let value { producers[Int(value.index)] = node }
    }

    private mutating func forget(_ node: NodeID, asConsumerOf value: ValueID) {
        guard let slot = consumers[Int(value.index)].lastIndex(of: node) else { return }
        consumers[Int(value.index)].remove(at: slot)
    }
}
