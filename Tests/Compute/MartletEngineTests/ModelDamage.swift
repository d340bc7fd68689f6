// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletFormats
internal import MartletGraph
internal import MartletTensor

/// Makes small models of arbitrary operators, and damages models of any kind in their structure:
/// names, operators, attributes, shapes, types, constants, order, versions.
struct ModelDamage {
    var random: SeededRandom
    private let operators: [OperatorSchema]

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        operators = OperatorTable.standard.schemas.listed
    }

    static let sizes: [Int] = [0, 1, 2, 3, 4, 5, 8, 16, 17, 64]
    static let numbers: [Int64] = [
        0, 1, 2, 3, 4, 5, 7, 10, 16, -1, -2, -3, 1 << 31, 1 << 40, .max, .min,
    ]
    static let fractions: [Float] = [0, 1, 0.5, -1, 2, 1e-5, 1e30, -1e30, .infinity, .nan]
    static let words = [
        "", "constant", "reflect", "edge", "wrap", "linear", "nearest", "cubic", "bilinear",
        "half_pixel", "asymmetric", "align_corners", "floor", "SAME_UPPER", "SAME_LOWER", "VALID",
        "NOTSET", "none", "add", "mul", "max", "sum", "mean", "DCR", "CRD", "bidirectional",
        "reverse", "ij,jk->ik", "...i->...", "bij,bjk", "i", "tanh", "LEFT", "RIGHT", "DOUBLE",
    ]
    static let attributeNames = [
        "axis", "axes", "keepdims", "to", "perm", "group", "kernel_shape", "strides", "pads",
        "dilations", "alpha", "beta", "epsilon", "mode", "auto_pad", "ceil_mode", "transA",
        "transB", "equation", "direction", "hidden_size", "num_heads", "kv_num_heads", "is_causal",
        "blocksize", "block_size", "largest", "sorted", "value", "dtype", "batch_dims", "size",
        "num_outputs", "split", "scales", "exclusive", "reverse", "output_shape",
        "output_padding", "storage_order", "p", "bias", "lambd", "reduction", "sample_size",
        "coordinate_transformation_mode", "nearest_mode", "antialias", "layout", "upper", "k",
        "linear_before_reset", "activations", "activation", "value_ints", "interleaved",
        "rotary_embedding_dim", "stash_type", "num_groups", "detect_positive", "saturate",
        "output_datatype", "onesided", "align_corners", "padding_mode", "spatial_scale",
        "sampling_ratio", "output_height", "output_width", "N", "bits", "accuracy_level",
    ]

    mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[Int.random(in: choices.indices, using: &random)]
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

    // MARK: Making

    /// One to four nodes over inputs and constants of mixed types.
    mutating func makeModel() -> ONNXModel {
        var model = ONNXModel()
        model.irVersion = 10
        model.operatorSets = [
            ONNXOperatorSet(domain: "", version: below(4) == 0 ? Int64(below(29)) : 23),
            ONNXOperatorSet(domain: "com.microsoft", version: 1),
        ]
        var names: [String] = []
        for index in 0...below(3) {
            names.append("x\(index)")
            model.graph.inputs.append(ONNXValueInfo(name: "x\(index)", type: makeType()))
        }
        for index in 0...below(3) {
            names.append("c\(index)")
            model.graph.initializers.append(makeConstant("c\(index)"))
        }
        for index in 0...below(4) {
            let schema = pick(operators)
            let inputs = (0...below(4)).map { _ in below(12) == 0 ? "" : pick(names) }
            let outputs = (0...below(8) / 6).map { "y\(index)_\($0)" }
            names += outputs
            var attributes: [ONNXAttribute] = []
            for _ in 0..<below(5) { attributes.append(makeAttribute()) }
            model.graph.nodes.append(
                ONNXNode(
                    operatorType: schema.name, domain: schema.domain, inputs: inputs,
                    outputs: outputs, attributes: attributes))
        }
        model.graph.outputs = [ONNXValueInfo(name: names[names.count - 1], type: nil)]
        return model
    }

    mutating func makeShape() -> [Int] { (0..<below(5)).map { _ in pick(Self.sizes) } }

    mutating func makeType() -> ONNXType {
        let type: ONNXDataType =
            below(3) > 0
            ? .float32 : pick([.int64, .bool, .int32, .uint8, .int8, .float16, .string])
        let shape: [ONNXDimension] = makeShape().map {
            below(5) == 0 ? .symbol(pick(["n", "m"])) : .fixed($0)
        }
        return .tensor(type, shape: below(12) == 0 ? nil : shape)
    }

    mutating func makeConstant(_ name: String) -> ONNXTensor {
        let type: ONNXDataType =
            below(2) == 0 ? .float32 : pick([.int64, .int64, .int8, .uint8, .bool])
        let dimensions = below(2) == 0 ? [1 + below(4)] : makeShape()
        let count = dimensions.reduce(1, *)
        var bytes: [UInt8] = []
        for _ in 0..<count {
            switch type {
            case .int64:
                unsafe withUnsafeBytes(of: pick(Self.numbers).littleEndian) {
                    unsafe bytes.append(contentsOf: $0)
                }
            case .float32:
                let value = below(4) == 0 ? pick(Self.fractions) : Float(below(9)) - 4
                unsafe withUnsafeBytes(of: value.bitPattern.littleEndian) {
                    unsafe bytes.append(contentsOf: $0)
                }
            default: bytes.append(UInt8(below(type == .bool ? 2 : 256)))
            }
        }
        return ONNXTensor(
            name: name, dataType: type, dimensions: dimensions, elementCount: count,
            contents: .raw(ByteRegion(copying: bytes)))
    }

    mutating func makeAttribute() -> ONNXAttribute {
        let value: ONNXAttributeValue
        switch below(8) {
        case 0, 1, 2: value = .int(pick(Self.numbers))
        case 3: value = .float(pick(Self.fractions))
        case 4: value = .string(Array(pick(Self.words).utf8))
        case 5: value = .floats((0..<below(4)).map { _ in pick(Self.fractions) })
        case 6: value = .tensor(makeConstant("t"))
        default: value = .ints((0..<below(6)).map { _ in pick(Self.numbers) })
        }
        return ONNXAttribute(name: pick(Self.attributeNames), value: value)
    }

    // MARK: Damaging

    mutating func harm(_ model: inout ONNXModel) {
        switch below(24) {
        case 0 where !model.operatorSets.isEmpty:
            model.operatorSets[0].version = pick([-1, 0, 1, 6, 7, 9, 11, 13, 17, 28, 29, .max])
        case 1 where !model.functions.isEmpty:
            let index = below(model.functions.count)
            var graph = ONNXGraph()
            graph.nodes = model.functions[index].nodes
            harm(&graph)
            model.functions[index].nodes = graph.nodes
        default: harm(&model.graph)
        }
    }

    mutating func harm(_ graph: inout ONNXGraph) {
        switch below(16) {
        case 0 where !graph.outputs.isEmpty:
            graph.outputs[below(graph.outputs.count)].name = anyName(graph)
        case 1 where !graph.inputs.isEmpty:
            graph.inputs[below(graph.inputs.count)].type = makeType()
        case 2 where !graph.inputs.isEmpty: graph.inputs.append(graph.inputs[0])
        case 3 where !graph.initializers.isEmpty:
            harm(&graph.initializers[below(graph.initializers.count)])
        case 4 where !graph.initializers.isEmpty:
            graph.initializers.remove(at: below(graph.initializers.count))
        case 5 where !graph.initializers.isEmpty:
            let name = graph.initializers[below(graph.initializers.count)].name
            graph.initializers.append(makeConstant(name))
        default: harmNodes(&graph)
        }
    }

    private mutating func harmNodes(_ graph: inout ONNXGraph) {
        guard !graph.nodes.isEmpty else { return }
        let index = below(graph.nodes.count)
        switch below(12) {
        case 0 where !graph.nodes[index].inputs.isEmpty:
            graph.nodes[index].inputs[below(graph.nodes[index].inputs.count)] = anyName(graph)
        case 1: graph.nodes[index].inputs.append(anyName(graph))
        case 2 where !graph.nodes[index].outputs.isEmpty:
            graph.nodes[index].outputs[below(graph.nodes[index].outputs.count)] = anyName(graph)
        case 3:
            let schema = pick(operators)
            graph.nodes[index].operatorType = schema.name
            graph.nodes[index].domain = schema.domain
        case 4: graph.nodes.remove(at: index)
        case 5: graph.nodes.append(graph.nodes[index])
        case 6: graph.nodes.swapAt(index, below(graph.nodes.count))
        case 7: graph.nodes[index].attributes.append(makeAttribute())
        default: harmAttribute(&graph.nodes[index])
        }
    }

    private mutating func harmAttribute(_ node: inout ONNXNode) {
        guard !node.attributes.isEmpty else { return node.attributes.append(makeAttribute()) }
        let index = below(node.attributes.count)
        switch node.attributes[index].value {
        case .int: node.attributes[index].value = .int(pick(Self.numbers))
        case .float: node.attributes[index].value = .float(pick(Self.fractions))
        case .string: node.attributes[index].value = .string(Array(pick(Self.words).utf8))
        case .ints(var values):
            if values.isEmpty || below(4) == 0 {
                values.append(pick(Self.numbers))
            } else if below(4) == 0 {
                values.removeLast()
            } else {
                values[below(values.count)] = pick(Self.numbers)
            }
            node.attributes[index].value = .ints(values)
        case .tensor(var tensor):
            harm(&tensor)
            node.attributes[index].value = .tensor(tensor)
        case .graph(var inner):
            harm(&inner)
            node.attributes[index].value = .graph(inner)
        default:
            if below(2) == 0 {
                node.attributes.remove(at: index)
            } else {
                node.attributes[index] = makeAttribute()
            }
        }
    }

    private mutating func harm(_ tensor: inout ONNXTensor) {
        switch below(4) {
        case 0: tensor.dataType = pick(ONNXDataType.allCases)
        case 1: tensor = makeConstant(tensor.name)
        case 2:
            // A shape that lies about the contents; the count agrees with it, as the reader has it.
            var count = 1
            for size in makeShape() where !count.multipliedReportingOverflow(by: size).overflow {
                count *= size
                tensor.dimensions.append(size)
            }
            tensor.dimensions.shuffle(using: &random)
            tensor.elementCount = tensor.dimensions.reduce(1) {
                $0.multipliedReportingOverflow(by: $1).partialValue
            }
        default: tensor.dimensions.reverse()
        }
    }

    private mutating func anyName(_ graph: ONNXGraph) -> String {
        switch below(5) {
        case 0: return ""
        case 1 where !graph.inputs.isEmpty: return graph.inputs[below(graph.inputs.count)].name
        case 2 where !graph.initializers.isEmpty:
            return graph.initializers[below(graph.initializers.count)].name
        default:
            guard !graph.nodes.isEmpty else { return "nothing" }
            return graph.nodes[below(graph.nodes.count)].outputs.first ?? "nothing"
        }
    }
}
