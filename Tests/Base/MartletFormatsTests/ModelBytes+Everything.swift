// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats

// A model with every kind of part: for tests that want to see all of the reader.
extension ModelBytes {
    /// An attribute with the number of its kind.
    static func attribute(
        _ writer: inout ProtobufWriter, _ name: String, kind: Int64,
        value: (inout ProtobufWriter) -> Void
    ) {
        writer.message(5) { attribute in
            attribute.string(1, name)
            attribute.int64(20, kind)
            value(&attribute)
        }
    }

    static func smallTensor(_ writer: inout ProtobufWriter) {
        rawTensor(&writer, name: "t", type: .uint8, dimensions: [2], raw: [1, 2])
    }

    static func sparseTensor(_ writer: inout ProtobufWriter) {
        writer.message(1) {
            rawTensor(&$0, name: "values", type: .uint8, dimensions: [1], raw: [9])
        }
        writer.message(2) { indices in
            indices.packed(1, [1] as [Int64])
            indices.int64(2, Int64(ONNXDataType.int64.rawValue))
            indices.packed(7, [3] as [Int64])
        }
        writer.packed(3, [2, 4] as [Int64])
    }

    /// sequence(map(int64, optional(tensor(float32))))
    static func nestedType(_ writer: inout ProtobufWriter) {
        writer.message(4) { sequence in
            sequence.message(1) { element in
                element.message(5) { map in
                    map.int64(1, 7)
                    map.message(2) { value in
                        value.message(9) { optional in
                            optional.message(1) { inner in
                                inner.message(1) { $0.int64(1, 1) }
                            }
                        }
                    }
                }
            }
        }
    }

    static func allAttributes(_ writer: inout ProtobufWriter) {
        attribute(&writer, "f", kind: 1) { $0.float(2, 1.5) }
        attribute(&writer, "i", kind: 2) { $0.int64(3, -7) }
        attribute(&writer, "s", kind: 3) { $0.string(4, "text") }
        attribute(&writer, "t", kind: 4) { $0.message(5) { smallTensor(&$0) } }
        attribute(&writer, "g", kind: 5) { $0.message(6) { $0.string(2, "inner") } }
        attribute(&writer, "floats", kind: 6) { $0.packed(7, [1, 2] as [Float]) }
        attribute(&writer, "ints", kind: 7) { $0.packed(8, [3, 4] as [Int64]) }
        attribute(&writer, "strings", kind: 8) { writer in
            writer.string(9, "a")
            writer.string(9, "b")
        }
        attribute(&writer, "tensors", kind: 9) { $0.message(10) { smallTensor(&$0) } }
        attribute(&writer, "graphs", kind: 10) { $0.message(11) { $0.string(2, "inner") } }
        attribute(&writer, "sparse", kind: 11) { $0.message(22) { sparseTensor(&$0) } }
        attribute(&writer, "sparses", kind: 12) { $0.message(23) { sparseTensor(&$0) } }
        attribute(&writer, "type", kind: 13) { $0.message(14) { nestedType(&$0) } }
        attribute(&writer, "types", kind: 14) { $0.message(15) { nestedType(&$0) } }
        attribute(&writer, "empty", kind: 7) { _ in }
        writer.message(5) { attribute in
            attribute.string(1, "passed")
            attribute.string(21, "alpha")
        }
    }

    static func externalTensor(
        _ writer: inout ProtobufWriter, location: String, offset: String? = nil,
        length: String? = nil, count: Int64 = 4
    ) {
        writer.packed(1, [count])
        writer.int64(2, Int64(ONNXDataType.uint8.rawValue))
        writer.string(8, "external")
        writer.int64(14, 1)
        for (key, value) in [("location", location), ("offset", offset), ("length", length)] {
            guard let value else { continue }
            writer.message(13) { entry in
                entry.string(1, key)
                entry.string(2, value)
            }
        }
    }

    static func function(_ writer: inout ProtobufWriter) {
        writer.string(1, "Twice")
        writer.string(4, "x")
        writer.string(5, "y")
        writer.string(6, "alpha")
        writer.message(7) { node(&$0, "Add", inputs: ["x", "x"], outputs: ["y"]) }
        writer.message(9) { set in set.int64(2, 17) }
        writer.string(10, "local")
        writer.message(11) { attribute in
            attribute.string(1, "beta")
            attribute.float(2, 2)
            attribute.int64(20, 1)
        }
        writer.string(13, "v1")
    }

    static func everything() -> [UInt8] {
        var bytes = model { graph in
            graph.message(1) { writer in
                node(
                    &writer, "Twice", inputs: ["x", ""], outputs: ["y"], attributes: allAttributes)
                writer.string(7, "local")
                writer.string(8, "v1")
            }
            graph.message(5) { externalTensor(&$0, location: "weights.bin", offset: "8") }
            graph.message(5) { writer in
                writer.packed(1, [2] as [Int64])
                writer.int64(2, 8)
                writer.string(6, "one")
                writer.string(6, "")
                writer.string(8, "words")
            }
            graph.message(15) { sparseTensor(&$0) }
            graph.message(13) { info in
                info.string(1, "seq")
                info.message(2) { nestedType(&$0) }
            }
            graph.message(13) { $0.string(1, "untyped") }
            graph.message(11) { valueInfo(&$0, name: "x", type: .bfloat16, shape: []) }
            graph.message(12) { valueInfo(&$0, name: "y", type: .bfloat16, shape: []) }
        }
        var tail = ProtobufWriter()
        tail.message(25) { function(&$0) }
        tail.message(20) { _ in }
        tail.message(8) { set in
            set.string(1, "local")
            set.int64(2, 1)
        }
        bytes += tail.bytes
        return bytes
    }
}
