// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

public import MartletTensor

/// What a shape rule sees of its node, and where it writes what it knows of the outputs.
///
/// A rule reads with `type(_:)`, `dimensions(_:)`, `value(_:)` and the attribute readers, and ends
/// with `setOutput(_:_:_:)` for each output; shape arithmetic also calls `setValue(_:_:)`.
public struct ShapeContext {
    let graph: Graph
    var node = NodeID(index: 0)
    /// The inputs' types; nil where an optional input is absent.
    public internal(set) var inputs: [ValueType?]
    public internal(set) var attributes: [String: AttributeValue]
    public internal(set) var outputs: [ValueType]
    public internal(set) var outputValues: [HostValue?]

    var values: [HostValue?]
    var constants: [Tensor?]
    let symbols: FreshSymbols
    /// Whether control flow's bodies are looked into; a planner has no use for what they say.
    public internal(set) var followsBodies = true

    /// How many graphs there are around the one being looked at.
    var bodyDepth = 0
    /// Graphs nested deeper are not looked into: each level doubles the work.
    static let bodyDepthMax = 6

    init(graph: Graph, symbols: FreshSymbols) {
        self.graph = graph
        inputs = []
        attributes = [:]
        outputs = []
        outputValues = []
        values = []
        constants = []
        self.symbols = symbols
    }

    /// The node as messages name it.
    public var nodeDescription: String { graph.describe(node) }

    /// A dimension that is equal to no other.
    public func freshDimension() -> Dimension { symbols.next() }

    public func failure(_ message: String, code: GraphError.Code = .invalidShape) -> GraphError {
        GraphError(code, "\(nodeDescription): \(message)")
    }
}

/// Makes dimensions that are equal to no other: "?1", "?2", ….
final class FreshSymbols {
    private var count = 0

    func next() -> Dimension {
        count += 1
        return Dimension(symbol: "?\(count)")
    }
}

// MARK: Reading inputs

extension ShapeContext {
    public func has(_ index: Int) -> Bool { index < inputs.count && inputs[index] != nil }

    /// The type of an input that must be there.
    public func type(_ index: Int) throws(GraphError) -> ValueType {
        guard index < inputs.count, let type = inputs[index] else {
            throw failure("input \(index) is missing", code: .invalidModel)
        }
        return type
    }

    public func dimensions(_ index: Int) throws(GraphError) -> [Dimension]? {
        try type(index).dimensions
    }

    /// What is known of an input's contents: a small constant or folded shape arithmetic.
    public func value(_ index: Int) -> HostValue? {
        guard index < inputs.count else { return nil }
        if let known = values[index] { return known }
        return constants[index].flatMap { HostValue($0) }
    }

    /// The whole numbers of an input whose contents are known.
    public func integers(_ index: Int) -> [Int]? { value(index)?.integers }

    /// Whether an input's contents are known or it is absent.
    func isKnown(_ index: Int) -> Bool {
        guard has(index) else { return true }
        return values[index] != nil
            || (constants[index].map { $0.elementCount <= HostValue.elementsMax } ?? false)
    }

    /// The number of elements of a one-dimensional input, where its shape is known.
    func length(_ index: Int) throws(GraphError) -> Int? {
        guard let dimensions = try dimensions(index) else { return nil }
        guard dimensions.count == 1 else {
            throw failure("input \(index) must have one dimension, has \(dimensions.count)")
        }
        return dimensions[0].fixed
    }
}

// MARK: Reading attributes

extension ShapeContext {
    public func int(_ name: String, default fallback: Int = 0) -> Int {
        attributes[name]?.int ?? fallback
    }

    public func float(_ name: String, default fallback: Float = 0) -> Float {
        attributes[name]?.float ?? fallback
    }

    public func string(_ name: String, default fallback: String = "") -> String {
        attributes[name]?.string ?? fallback
    }

    public func ints(_ name: String) -> [Int]? { attributes[name]?.ints?.map { Int($0) } }

    /// An axis counted from either end, as one counted from the front.
    public func axis(_ axis: Int, rank: Int) throws(GraphError) -> Int {
        guard axis >= -rank, axis < rank else {
            throw failure("axis \(axis) of a tensor with \(rank) dimensions")
        }
        return axis < 0 ? axis + rank : axis
    }

    /// Axes counted from the front, sorted, without repetition.
    public func axes(_ axes: [Int], rank: Int) throws(GraphError) -> [Int] {
        var result: [Int] = []
        for raw in axes {
            let axis = try axis(raw, rank: rank)
            if result.contains(axis) { throw failure("axis \(raw) is named twice") }
            result.append(axis)
        }
        return result.sorted()
    }
}

// MARK: Writing outputs

extension ShapeContext {
    /// States an output's type; an output that the node does not have is ignored.
    /// - Throws: for negative dimensions, too many of them, and sizes that overflow.
    public mutating func setOutput(
        _ index: Int = 0, _ elementType: ElementType?, _ dimensions: [Dimension]?
    ) throws(GraphError) {
        guard index < outputs.count else { return }
        if let dimensions {
            guard dimensions.count <= Shape.rankMax else {
                throw failure(
                    "\(dimensions.count) dimensions; at most \(Shape.rankMax) are allowed")
            }
            var bits = elementType?.bitWidth ?? 8
            for dimension in dimensions where dimension.terms.isEmpty {
                guard dimension.constant >= 0 else {
                    throw failure("dimension \(dimension) of the output is negative")
                }
                let (product, overflow) =
                    bits.multipliedReportingOverflow(by: max(dimension.constant, 1))
                if overflow { throw failure("output of shape \(dimensions) is too large") }
                bits = product
            }
        }
        outputs[index] = ValueType(elementType: elementType, dimensions: dimensions)
    }

    /// States the whole type of an output that may be no tensor.
    public mutating func setOutput(_ index: Int = 0, type: ValueType) throws(GraphError) {
        try setOutput(index, type.elementType, type.dimensions)
        if index < outputs.count { outputs[index].container = type.container }
    }

    /// States an output's contents, and its type with them.
    public mutating func setValue(_ index: Int = 0, _ value: HostValue) throws(GraphError) {
        guard index < outputs.count else { return }
        try setOutput(index, value.elementType, value.shape.map { Dimension($0) })
        outputValues[index] = value
    }
}

// MARK: Combining

extension ShapeContext {
    /// The shape that several broadcast to; nil when one is not known.
    public func broadcast(_ shapes: [[Dimension]?]) throws(GraphError) -> [Dimension]? {
        var result: [Dimension] = []
        for shape in shapes {
            guard let shape else { return nil }
            result = try broadcast(result, shape)
        }
        return result
    }

    public func broadcast(
        _ left: [Dimension], _ right: [Dimension]
    ) throws(GraphError) -> [Dimension] {
        var result = left.count >= right.count ? left : right
        let other = left.count >= right.count ? right : left
        let lead = result.count - other.count
        for axis in other.indices {
            let first = result[lead + axis]
            let second = other[axis]
            if first == second || second.fixed == 1 { continue }
            if first.fixed == 1 {
                result[lead + axis] = second
                continue
            }
            switch (first.fixed, second.fixed) {
            case (nil, nil): result[lead + axis] = freshDimension()
            case (nil, _?): result[lead + axis] = second
            case (_?, nil): break
            default:
                throw failure("shapes \(describe(left)) and \(describe(right)) do not broadcast")
            }
        }
        return result
    }

    /// Fails when two dimensions are different numbers.
    public func expectEqual(
        _ left: Dimension, _ right: Dimension, _ what: @autoclosure () -> String
    ) throws(GraphError) {
        if let left = left.fixed, let right = right.fixed, left != right {
            throw failure("\(what()): \(left) and \(right) differ")
        }
    }

    /// The sum; a fresh dimension where it has no simple form.
    public func sum(_ left: Dimension, _ right: Dimension) throws(GraphError) -> Dimension {
        if let sum = left.adding(right) { return sum }
        throw failure("a dimension overflows")
    }

    /// The product; a fresh dimension where it has no simple form.
    public func product(_ left: Dimension, _ right: Dimension) throws(GraphError) -> Dimension {
        if let product = left.multiplied(by: right) { return product }
        if left.fixed != nil, right.fixed != nil { throw failure("a dimension overflows") }
        return freshDimension()
    }

    public func describe(_ dimensions: [Dimension]) -> String {
        "[" + dimensions.map(\.description).joined(separator: ", ") + "]"
    }
}
