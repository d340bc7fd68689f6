// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletFormats
internal import MartletGraph
internal import Testing

@Suite("ONNX attributes that became inputs")
struct AttributeConverterTests {
    private func lines(
        _ node: ONNXNode, version: Int64, outputs: [String] = ["y"]
    ) throws -> [String] {
        let operators = OperatorSet([.slice, .pad, .split, .topK, .resize, .clip])
        let model = modelOf(
            [node], inputs: [floats("x", .fixed(6), .fixed(4))], outputs: outputs, version: version)
        let graph = try ONNXImporter(operators: operators)
            .graph(of: model, externalFiles: ONNXExternalFiles(folder: nil))
        return graph.dump().split(separator: "\n").map(String.init)
            .filter { $0.hasPrefix("y") || $0.hasPrefix("constant") }
    }

    @Test("limits of Clip")
    func clip() throws {
        let old = node("Clip", ["x"], ["y"], ["min": .float(0), "max": .float(6)])
        #expect(
            try lines(old, version: 6 + 1) == [
                "constant y#1: float32[] = [0.0]", "constant y#2: float32[] = [6.0]",
                "y: float32[6, 4] = Clip(x, y#1, y#2)",
            ])
        let onlyMaximum = node("Clip", ["x"], ["y"], ["max": .float(6)])
        #expect(try lines(onlyMaximum, version: 10).last == "y: float32[6, 4] = Clip(x, _, y#1)")
    }

    @Test("starts, ends and axes of Slice")
    func slice() throws {
        let old = node(
            "Slice", ["x"], ["y"], ["starts": .ints([1]), "ends": .ints([3]), "axes": .ints([0])])
        #expect(try lines(old, version: 9).last == "y: float32[2, 4] = Slice(x, y#1, y#2, y#3)")
    }

    @Test("pads of Pad, k of TopK, lengths of Split")
    func sizes() throws {
        let pad = node("Pad", ["x"], ["y"], ["pads": .ints([0, 1, 0, 1]), "value": .float(2)])
        #expect(try lines(pad, version: 10).last == "y: float32[6, 6] = Pad(x, y#1, y#2)")
        let top = node("TopK", ["x"], ["y", "i"], ["k": .int(3)])
        #expect(
            try lines(top, version: 9).last
                == "y: float32[6, 3], i: int64[6, 3] = TopK(x, y#1)")
        let split = node("Split", ["x"], ["y", "z"], ["split": .ints([2, 4])])
        #expect(
            try lines(split, version: 11).last
                == "y: float32[2, 4], z: float32[4, 4] = Split(x, y#1)")
        let even = node("Split", ["x"], ["y", "z"])
        #expect(
            try lines(even, version: 11).last
                == "y: float32[3, 4], z: float32[3, 4] = Split(x) {num_outputs=2}")
    }

    @Test("Upsample is Resize from the corner")
    func upsample() throws {
        let old = node("Upsample", ["x"], ["y"], ["scales": .floats([1, 2])])
        #expect(
            try lines(old, version: 7).last
                == "y: float32[6, 8] = Resize(x, _, y#1) "
                + "{coordinate_transformation_mode=\"asymmetric\", nearest_mode=\"floor\"}")
    }
}
