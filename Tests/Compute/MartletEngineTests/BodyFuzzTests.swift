// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletFormats
internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Damaged models with graphs inside", .serialized)
struct BodyFuzzTests {
    private static func node(
        _ type: String, _ inputs: [String], _ outputs: [String],
        _ attributes: [String: ONNXAttributeValue] = [:]
    ) -> ONNXNode {
        ONNXNode(
            operatorType: type, inputs: inputs, outputs: outputs,
            attributes: attributes.sorted { $0.key < $1.key }
                .map { ONNXAttribute(name: $0.key, value: $0.value) })
    }

    private static func graph(
        _ nodes: [ONNXNode], _ inputs: [String], _ outputs: [String]
    ) -> ONNXGraph {
        var graph = ONNXGraph()
        graph.nodes = nodes
        graph.inputs = inputs.map { ONNXValueInfo(name: $0, type: nil) }
        graph.outputs = outputs.map { ONNXValueInfo(name: $0, type: nil) }
        return graph
    }

    /// A loop with a condition inside, a scan, sequences, and sizes from the data.
    private static func seed() -> ONNXModel {
        let branch = graph([node("Add", ["v", "x"], ["t"])], [], ["t"])
        let other = graph([node("Identity", ["v"], ["e"])], [], ["e"])
        let body = graph(
            [
                node(
                    "If", ["c"], ["w"],
                    ["then_branch": .graph(branch), "else_branch": .graph(other)]),
                node("Identity", ["c"], ["d"]),
                node("ReduceMax", ["w"], ["m"], ["keepdims": .int(0)]),
            ], ["i", "c", "v"], ["d", "w", "m"])
        let scan = graph(
            [node("Add", ["s", "u"], ["s2"]), node("Identity", ["s2"], ["o"])], ["s", "u"],
            ["s2", "o"])
        var model = ONNXModel()
        model.irVersion = 8
        model.operatorSets = [ONNXOperatorSet(domain: "", version: 17)]
        model.graph = graph(
            [
                node("Loop", ["n", "", "x"], ["last", "all"], ["body": .graph(body)]),
                node("NonZero", ["all"], ["places"]),
                node("Squeeze", ["places"], ["flat"]),
                node("Gather", ["all", "flat"], ["kept"], ["axis": .int(0)]),
                node("ReduceMax", ["kept"], ["zero"], ["keepdims": .int(0)]),
                node(
                    "Scan", ["zero", "kept"], ["sum", "sums"],
                    ["body": .graph(scan), "num_scan_inputs": .int(1)]),
                node("SequenceConstruct", ["sums", "kept"], ["seq"]),
                node("ConcatFromSequence", ["seq"], ["y"], ["axis": .int(0)]),
            ], [], ["y", "last"])
        model.graph.inputs = [
            ONNXValueInfo(name: "x", type: .tensor(.float32, shape: [.symbol("k")])),
            ONNXValueInfo(name: "n", type: .tensor(.int64, shape: [])),
        ]
        return model
    }

    private struct Damage {
        var random: SeededRandom
        static let names = ["", "x", "n", "c", "v", "i", "w", "y", "all", "kept", "t", "zero", "u"]
        static let types = [
            "If", "Loop", "Scan", "Add", "NonZero", "Identity", "Reshape", "Range", "Expand",
            "SequenceAt", "SequenceInsert", "SequenceMap", "ConcatFromSequence", "Optional",
            "SplitToSequence", "ConstantOfShape", "Squeeze", "Unique", "Compress",
        ]

        mutating func harm(_ graph: inout ONNXGraph) {
            guard !graph.nodes.isEmpty else { return }
            let index = Int.random(in: graph.nodes.indices, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0: graph.nodes[index].inputs = pick(graph.nodes[index].inputs)
            case 1: graph.nodes[index].outputs = pick(graph.nodes[index].outputs)
            case 2:
                graph.nodes[index].operatorType = Damage.types.randomElement(using: &random) ?? ""
            case 3: graph.nodes.remove(at: index)
            case 4: graph.nodes.append(graph.nodes[index])
            case 5: graph.nodes.swapAt(0, index)
            case 6:
                if !graph.outputs.isEmpty { graph.outputs.removeLast() }
            case 7:
                if let first = graph.inputs.first { graph.inputs.append(first) }
            case 8: number(&graph.nodes[index])
            default: deeper(&graph.nodes[index])
            }
        }

        private mutating func pick(_ names: [String]) -> [String] {
            var names = names
            let name = Damage.names.randomElement(using: &random) ?? ""
            if names.isEmpty || Bool.random(using: &random) {
                names.append(name)
            } else {
                names[Int.random(in: names.indices, using: &random)] = name
            }
            return names
        }

        private mutating func number(_ node: inout ONNXNode) {
            let numbers: [Int64] = [0, 1, -1, 2, 1 << 40, .max, .min]
            let names = ["axis", "keepdims", "num_scan_inputs", "new_axis", "dtype"]
            node.attributes.append(
                ONNXAttribute(
                    name: names.randomElement(using: &random) ?? "",
                    value: .int(numbers.randomElement(using: &random) ?? 0)))
        }

        private mutating func deeper(_ node: inout ONNXNode) {
            for index in node.attributes.indices {
                guard case .graph(var inner)? = node.attributes[index].value else { continue }
                harm(&inner)
                node.attributes[index].value = .graph(inner)
            }
        }
    }

    private static func run(_ model: ONNXModel) throws {
        let importer = ONNXImporter(operators: OperatorTable.standard.schemas)
        let graph = try importer.graph(of: model, externalFiles: ONNXExternalFiles(folder: nil))
        let options = EngineOptions(memoryBytesMax: 1 << 22, threads: 1, iterationsMax: 200)
        let session = try NativeEngine().load(.graph(graph), options: options)
        var outputs: [EngineValue] = []
        try session.makeContext().run(
            values: [
                .tensor(try Tensor([1, 0, 2] as [Float])),
                .tensor(try Tensor([3] as [Int64], shape: [])),
            ], outputs: &outputs, cancellation: nil)
    }

    @Test("the undamaged model runs")
    func seedRuns() throws { try Self.run(Self.seed()) }

    @Test("damaged ones end with an error or an answer, never otherwise")
    func damaged() {
        var damage = Damage(random: SeededRandom(seed: 0x5eed))
        var answered = 0
        for _ in 0..<3000 {
            var model = Self.seed()
            for _ in 0..<Int.random(in: 1...4, using: &damage.random) { damage.harm(&model.graph) }
            do {
                try Self.run(model)
                answered += 1
            } catch is EngineError {
            } catch is GraphError {
            } catch is TensorError {
            } catch {
                Issue.record("an error of another kind: \(error)")
            }
        }
        #expect(answered > 0)
    }
}
