// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

// What passes ask of a graph.
extension Graph {
    /// The only node that reads the value, through one input; nil for graph outputs.
    func onlyConsumer(of value: ValueID) -> NodeID? {
        hasSingleUse(value) ? consumers(of: value)[0] : nil
    }

    /// The only node that reads the value, where it is of this schema.
    func onlyConsumer(of value: ValueID, is schema: OperatorSchema) -> NodeID? {
        guard let node = onlyConsumer(of: value), self.schema(of: node) == schema else {
            return nil
        }
        return node
    }

    /// The value of a constant with one element.
    func scalar(_ value: ValueID?) -> Double? {
        guard let value, let tensor = constant(value), tensor.elementCount == 1 else { return nil }
        return HostValue(tensor)?.reals?.first
    }

    /// Whether a constant with one element is this number, to float's precision.
    func isScalar(_ value: ValueID?, _ expected: Double) -> Bool {
        guard let found = scalar(value) else { return false }
        return Swift.abs(found - expected) <= 1e-5 * Swift.max(1e-6, Swift.abs(expected))
    }

    /// The whole numbers of a small constant.
    func constantIntegers(_ value: ValueID?) -> [Int]? {
        guard let value, let tensor = constant(value) else { return nil }
        return HostValue(tensor)?.integers
    }

    /// The input of a binary node that is not `value`.
    func otherInput(of node: NodeID, than value: ValueID) -> ValueID? {
        let inputs = inputs(of: node)
        guard inputs.count == 2 else { return nil }
        return inputs[0] == value ? inputs[1] : inputs[0]
    }

    func dimensions(of value: ValueID?) -> [Dimension]? {
        value.flatMap { type(of: $0).dimensions }
    }

    func rank(of value: ValueID?) -> Int? { dimensions(of: value)?.count }

    func isFloat32(_ value: ValueID?) -> Bool {
        value.map { type(of: $0).elementType == .float32 } ?? false
    }

    /// The first output, which every operator that passes match has.
    func result(of node: NodeID) -> ValueID? { output(0, of: node) }

    /// Whether an axis attribute or input names the last axis of a value.
    func isLastAxis(_ axis: Int?, of value: ValueID?) -> Bool {
        guard let axis, let rank = rank(of: value) else { return axis == -1 }
        return axis == -1 || axis == rank - 1
    }

    func attributeInt(_ name: String, of node: NodeID, default fallback: Int) -> Int {
        attribute(name, of: node)?.int ?? fallback
    }

    /// The constant's floats; nil for other values and types.
    func constantFloats(_ value: ValueID?) -> [Float]? {
        guard let value, let tensor = constant(value), tensor.elementType == .float32 else {
            return nil
        }
        return try? tensor.elements(as: Float.self)
    }

    /// What the value is the mean of, over the last axis, which is kept.
    func meanOverLast(_ value: ValueID) -> ValueID? {
        guard let node = producer(of: value, is: .reduceMean), let x = input(0, of: node),
            attributeInt("keepdims", of: node, default: 1) == 1,
            let axes = constantIntegers(input(1, of: node)), axes.count == 1,
            isLastAxis(axes[0], of: x)
        else { return nil }
        return x
    }

    /// The other operand of a binary node, where it is a constant vector of this length.
    func parameter(of node: NodeID, than value: ValueID, length: Int) -> ValueID? {
        guard let other = otherInput(of: node, than: value), let tensor = constant(other),
            tensor.elementType == .float32, tensor.shape == [length] as Shape
        else { return nil }
        return other
    }

    /// Adds a constant of floats; the shape must hold them.
    mutating func addFloats(
        _ values: [Float], shape: Shape, name: String
    ) throws(GraphError) -> ValueID {
        do throws(TensorError) {
            return addConstant(name: name, try Tensor(values, shape: shape))
        } catch {
            throw GraphError(.invalidShape, "constant '\(name)': \(error.message)")
        }
    }

    /// Forgets a constant that nothing reads any more.
    mutating func dropIfUnread(_ value: ValueID) {
        if consumers(of: value).isEmpty && !isOutput(value) { dropConstant(value) }
    }
}
