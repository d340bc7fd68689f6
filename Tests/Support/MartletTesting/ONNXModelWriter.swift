// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
package import MartletTensor

/// Small ONNX files for tests: what every engine that reads files can load.
package struct ONNXModelWriter {
    /// A dimension: a size, or a name where it varies ("" for one without a name).
    package enum Size {
        case fixed(Int64)
        case varying(String)
    }

    private struct Node {
        var type: String
        var inputs: [String]
        var outputs: [String]
        var bodies: [(name: String, graph: ONNXModelWriter)]
    }

    private var inputs: [(name: String, type: ElementType, sizes: [Size])] = []
    private var outputs: [(name: String, type: ElementType, sizes: [Size])] = []
    private var nodes: [Node] = []
    private var constants: [(name: String, tensor: Tensor)] = []

    package init() {}

    /// One node that answers its input, "INPUT" to "OUTPUT", both [batch, 4].
    package static func identity(_ type: ElementType) -> ONNXModelWriter {
        var model = ONNXModelWriter()
        model.addInput("INPUT", type, [.varying("batch"), .fixed(4)])
        model.addNode("Identity", ["INPUT"], ["OUTPUT"])
        model.addOutput("OUTPUT", type, [.varying("batch"), .fixed(4)])
        return model
    }

    package mutating func addInput(_ name: String, _ type: ElementType, _ sizes: [Size]) {
        inputs.append((name, type, sizes))
    }

    package mutating func addOutput(_ name: String, _ type: ElementType, _ sizes: [Size]) {
        outputs.append((name, type, sizes))
    }

    package mutating func addConstant(_ name: String, _ tensor: Tensor) {
        constants.append((name, tensor))
    }

    /// - Parameter bodies: graphs in attributes, by name.
    package mutating func addNode(
        _ type: String, _ inputs: [String], _ outputs: [String],
        bodies: [(name: String, graph: ONNXModelWriter)] = []
    ) {
        nodes.append(Node(type: type, inputs: inputs, outputs: outputs, bodies: bodies))
    }

    /// The file's bytes, of operator set 17.
    package var bytes: [UInt8] {
        var writer = ProtobufWriter()
        writer.int64(1, 8)
        writer.message(7) { writeGraph(to: &$0) }
        writer.message(8) { set in
            set.string(1, "")
            set.int64(2, 17)
        }
        return writer.bytes
    }

    private func writeGraph(to graph: inout ProtobufWriter) {
        for node in nodes {
            graph.message(1) { writer in
                for input in node.inputs { writer.string(1, input) }
                for output in node.outputs { writer.string(2, output) }
                writer.string(3, "make_\(node.outputs[0])")
                writer.string(4, node.type)
                for body in node.bodies {
                    writer.message(5) { attribute in
                        attribute.string(1, body.name)
                        attribute.message(6) { body.graph.writeGraph(to: &$0) }
                        attribute.int64(20, 5)
                    }
                }
            }
        }
        graph.string(2, "test")
        for constant in constants {
            graph.message(5) { writer in
                for size in constant.tensor.shape { writer.int64(1, Int64(size)) }
                writer.int64(2, Int64(constant.tensor.elementType.rawValue))
                writer.string(8, constant.name)
                writer.bytes(9, unsafe Array(constant.tensor.bytes))
            }
        }
        for input in inputs { graph.message(11) { Self.write(input, to: &$0) } }
        for output in outputs { graph.message(12) { Self.write(output, to: &$0) } }
    }

    private static func write(
        _ value: (name: String, type: ElementType, sizes: [Size]), to writer: inout ProtobufWriter
    ) {
        writer.string(1, value.name)
        writer.message(2) { type in
            type.message(1) { tensor in
                tensor.int64(1, Int64(value.type.rawValue))
                tensor.message(2) { shape in
                    for size in value.sizes {
                        shape.message(1) { dimension in
                            switch size {
                            case .fixed(let size): dimension.int64(1, size)
                            case .varying(""): break
                            case .varying(let name): dimension.string(2, name)
                            }
                        }
                    }
                }
            }
        }
    }
}
