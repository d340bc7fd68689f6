// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletFormats

/// Small ONNX models written by hand, field by field.
enum ModelBytes {
    static func string(_ text: String) -> (inout ProtobufWriter) -> Void {
        { $0.string(1, text) }
    }

    /// A `TensorProto` with raw data.
    static func rawTensor(
        _ writer: inout ProtobufWriter, name: String, type: ONNXDataType, dimensions: [Int64],
        raw: [UInt8]
    ) {
        writer.packed(1, dimensions)
        writer.int64(2, Int64(type.rawValue))
        writer.string(8, name)
        writer.bytes(9, raw)
    }

    static func valueInfo(
        _ writer: inout ProtobufWriter, name: String, type: ONNXDataType,
        shape: [ONNXDimension]
    ) {
        writer.string(1, name)
        writer.message(2) { typeWriter in
            typeWriter.message(1) { tensor in
                tensor.int64(1, Int64(type.rawValue))
                tensor.message(2) { shapeWriter in
                    for dimension in shape {
                        shapeWriter.message(1) { writer in
                            switch dimension {
                            case .fixed(let size): writer.int64(1, Int64(size))
                            case .symbol(let name): writer.string(2, name)
                            case .unknown: break
                            }
                        }
                    }
                }
            }
        }
    }

    static func node(
        _ writer: inout ProtobufWriter, _ type: String, inputs: [String], outputs: [String],
        attributes: (inout ProtobufWriter) -> Void = { _ in }
    ) {
        for input in inputs { writer.string(1, input) }
        for output in outputs { writer.string(2, output) }
        writer.string(3, type.lowercased())
        writer.string(4, type)
        attributes(&writer)
    }

    /// A model around a graph.
    static func model(
        irVersion: Int64 = 8, opset: Int64 = 17, graph: (inout ProtobufWriter) -> Void
    ) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.int64(1, irVersion)
        writer.string(2, "martlet-tests")
        writer.message(7) { graphWriter in
            graphWriter.string(2, "main")
            graph(&graphWriter)
        }
        writer.message(8) { set in
            set.string(1, "")
            set.int64(2, opset)
        }
        writer.message(14) { entry in
            entry.string(1, "author")
            entry.string(2, "nobody")
        }
        return writer.bytes
    }

    /// y = Gemm(x, w, b), with an If around a second node and one attribute of most kinds.
    static func example() -> [UInt8] {
        model { graph in
            graph.message(1) { writer in
                node(&writer, "Gemm", inputs: ["x", "w", "b"], outputs: ["h"]) { writer in
                    writer.message(5) {
                        $0.string(1, "alpha"); $0.float(2, 0.5); $0.int64(20, 1)
                    }
                    writer.message(5) {
                        $0.string(1, "transB"); $0.int64(3, 1); $0.int64(20, 2)
                    }
                    writer.message(5) {
                        $0.string(1, "mode")
                        $0.string(4, "linear")
                        $0.int64(20, 3)
                    }
                    writer.message(5) {
                        $0.string(1, "pads"); $0.packed(8, [1, -2] as [Int64]); $0.int64(20, 7)
                    }
                    writer.message(5) {
                        $0.string(1, "scales"); $0.float(7, 2); $0.float(7, 3); $0.int64(20, 6)
                    }
                }
            }
            graph.message(1) { writer in
                node(&writer, "If", inputs: ["c"], outputs: ["y"]) { writer in
                    writer.message(5) { attribute in
                        attribute.string(1, "then_branch")
                        attribute.message(6) { inner in
                            inner.string(2, "then")
                            inner.message(1) {
                                node(&$0, "Identity", inputs: ["h"], outputs: ["t"])
                            }
                        }
                        attribute.int64(20, 5)
                    }
                }
            }
            graph.message(5) {
                rawTensor(
                    &$0, name: "w", type: .float32, dimensions: [1, 2],
                    raw: [0, 0, 128, 63, 0, 0, 0, 64])
            }
            graph.message(5) {
                $0.packed(1, [1] as [Int64])
                $0.int64(2, 1)
                $0.packed(4, [0.25] as [Float])
                $0.string(8, "b")
            }
            graph.message(11) {
                valueInfo(&$0, name: "x", type: .float32, shape: [.symbol("n"), .fixed(2)])
            }
            graph.message(12) {
                valueInfo(&$0, name: "y", type: .float32, shape: [.unknown, .fixed(1)])
            }
        }
    }
}
