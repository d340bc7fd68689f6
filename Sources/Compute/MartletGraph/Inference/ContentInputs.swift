// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Which inputs a planner must know the contents of, not only the shapes.
extension OperatorSchema {
    /// Inputs whose contents decide shapes, or that kernels take as numbers while planning.
    public var contentInputs: [Int] {
        domain.isEmpty ? OperatorSchema.contentInputsByName[name] ?? [] : []
    }

    /// Whether shape inference can tell the output's contents from the inputs' contents, so that
    /// a need for the first is a need for the second.
    var followsContents: Bool {
        domain.isEmpty && OperatorSchema.followedNames.contains(name)
    }

    private static let contentInputsByName: [String: [Int]] = [
        "AffineGrid": [1],
        "BlackmanWindow": [0],
        "CenterCropPad": [1],
        "Col2Im": [1, 2],
        "ConstantOfShape": [0],
        "CumProd": [1],
        "CumSum": [1],
        "DFT": [1, 2],
        "Dropout": [1, 2],
        "Expand": [1],
        "HammingWindow": [0],
        "HannWindow": [0],
        "MaxUnpool": [2],
        "MelWeightMatrix": [0, 1, 2, 3, 4],
        "OneHot": [1],
        "Pad": [1, 3],
        "Range": [0, 1, 2],
        "ReduceL1": [1],
        "ReduceL2": [1],
        "ReduceLogSum": [1],
        "ReduceLogSumExp": [1],
        "ReduceMax": [1],
        "ReduceMean": [1],
        "ReduceMin": [1],
        "ReduceProd": [1],
        "ReduceSum": [1],
        "ReduceSumSquare": [1],
        "Reshape": [1],
        "Resize": [1, 2, 3],
        "STFT": [1, 3],
        "Slice": [1, 2, 3, 4],
        "Split": [1],
        "Squeeze": [1],
        "Tile": [1],
        "TopK": [1],
        "Trilu": [1],
        "Unsqueeze": [1],
        "Upsample": [1],
    ]

    private static let followedNames: Set<String> = [
        "Abs", "Add", "And", "Cast", "Ceil", "Concat", "Div", "Equal", "Expand", "Floor", "Gather",
        "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul",
        "Neg", "Not", "Or", "Range", "ReduceProd", "Reshape", "Slice", "Split", "Squeeze", "Sub",
        "Transpose", "Unsqueeze", "Where",
    ]
}

extension Graph {
    /// The places of inputs whose contents plans depend on: those that reach a content input
    /// through operators whose results inference can tell.
    package func contentInputs() -> [Int] {
        var isNeeded = [Bool](repeating: false, count: valueCount)
        for node in Array(nodes).reversed() {
            let schema = schema(of: node)
            let inputs = inputs(of: node)
            for slot in schema.contentInputs where slot < inputs.count {
                if let input = inputs[slot] { isNeeded[Int(input.index)] = true }
            }
            guard schema.followsContents else { continue }
            let isWanted = outputs(of: node).contains {
                $0.map { isNeeded[Int($0.index)] } ?? false
            }
            guard isWanted else { continue }
            for case let input? in inputs { isNeeded[Int(input.index)] = true }
        }
        return inputs.indices.filter { index in
            let input = inputs[index]
            return isNeeded[Int(input.index)] && type(of: input).container == .tensor
        }
    }
}
