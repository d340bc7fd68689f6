// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats
internal import MartletGraph

/// Operators enough for the importer's tests.
let testOperators = OperatorSet([
    .add, .mul, .relu, .clip, .identity, .squeeze, .unsqueeze, .reduceSum, .softmax, .flatten,
    .reshape, .shape, .batchNormalization, .conv, .gelu, .concat, .matMul, .constantOfShape,
    .maxPool, .skipLayerNormalization,
])

func modelOf(
    _ nodes: [ONNXNode], inputs: [ONNXValueInfo] = [floats("x", .symbol("n"), .fixed(4))],
    outputs: [String] = ["y"], initializers: [ONNXTensor] = [], version: Int64 = 17
) -> ONNXModel {
    var model = ONNXModel()
    model.irVersion = 8
    model.operatorSets = [ONNXOperatorSet(domain: "", version: version)]
    model.graph.name = "test"
    model.graph.nodes = nodes
    model.graph.inputs = inputs
    model.graph.outputs = outputs.map { ONNXValueInfo(name: $0, type: nil) }
    model.graph.initializers = initializers
    return model
}

func floats(_ name: String, _ shape: ONNXDimension...) -> ONNXValueInfo {
    ONNXValueInfo(name: name, type: .tensor(.float32, shape: shape))
}

func int64s(_ name: String, _ values: [Int64], scalar: Bool = false) -> ONNXTensor {
    let bytes = values.flatMap { value in
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * Int64($0))) }
    }
    return ONNXTensor(
        name: name, dataType: .int64, dimensions: scalar ? [] : [values.count],
        elementCount: values.count, contents: .raw(ByteRegion(copying: bytes)))
}

func zeros(_ name: String, _ dimensions: Int...) -> ONNXTensor {
    let count = dimensions.reduce(1, *)
    return ONNXTensor(
        name: name, dataType: .float32, dimensions: dimensions, elementCount: count,
        contents: .raw(ByteRegion(copying: [UInt8](repeating: 0, count: 4 * count))))
}

func node(
    _ type: String, _ inputs: [String], _ outputs: [String], name: String = "",
    domain: String = "", _ attributes: [String: ONNXAttributeValue] = [:]
) -> ONNXNode {
    ONNXNode(
        name: name, operatorType: type, domain: domain, inputs: inputs, outputs: outputs,
        attributes: attributes.sorted { $0.key < $1.key }
            .map { ONNXAttribute(name: $0.key, value: $0.value) })
}

func imported(_ model: ONNXModel) throws(GraphError) -> Graph {
    try ONNXImporter(operators: testOperators)
        .graph(of: model, externalFiles: ONNXExternalFiles(folder: nil))
}

/// The message of the error that importing the model throws.
func refusal(of model: ONNXModel) -> String {
    do throws(GraphError) {
        return "imported: " + (try imported(model)).dump()
    } catch {
        return error.message
    }
}
