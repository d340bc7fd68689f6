// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor

/// The graph's nodes after the passes, a line each, or what went wrong.
func nodes(after passes: any GraphPass..., of graph: Graph) throws -> [String] {
    var copy = graph
    try copy.inferShapes()
    try PassPipeline(passes, verifies: true).run(on: &copy)
    return copy.dump().split(separator: "\n").map(String.init).filter { $0.contains(" = ") }
        .filter { !$0.hasPrefix("constant") }
}

extension Graph {
    mutating func input(_ name: String, _ dimensions: Dimension...) -> ValueID {
        addInput(name: name, type: ValueType(elementType: .float32, dimensions: dimensions))
    }

    /// A constant that counts up: 1, 2, 3, ….
    mutating func counting(_ name: String, _ shape: Shape) throws -> ValueID {
        let count = shape.elementCountChecked ?? 0
        return addConstant(name: name, try Tensor((0..<count).map { Float($0 + 1) }, shape: shape))
    }

    mutating func number(_ value: Float) throws -> ValueID {
        addConstant(name: "\(value)", try Tensor([value], shape: []))
    }

    mutating func ints(_ values: Int64...) throws -> ValueID {
        addConstant(name: "ints", try Tensor(values))
    }

    /// The elements of the constant of this name.
    func floats(named name: String) throws -> [Float]? {
        guard let index = valueNames.firstIndex(of: name) else { return nil }
        return try constant(ValueID(index: Int32(index)))?.elements(as: Float.self)
    }
}
