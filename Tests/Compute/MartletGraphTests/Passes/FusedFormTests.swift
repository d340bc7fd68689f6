// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Testing

/// Fuses an addition into the product before it without looking at what is added.
private struct FuseBlindly: GraphPass {
    static let name = "fuse-blindly"
    var slot: Int

    func run(on graph: inout Graph) throws(GraphError) -> Int {
        for node in Array(graph.nodes) where graph.schema(of: node) == .add {
            guard let product = graph.input(0, of: node), let addend = graph.input(1, of: node),
                let before = graph.producer(of: product)
            else { continue }
            var inputs = graph.inputs(of: before)
            while inputs.count <= slot { inputs.append(nil) }
            inputs[slot] = addend
            graph.rewrite(
                node, as: .fusedMatMul, inputs: inputs,
                attributes: ["activation": .string(slot == 2 ? "" : "Relu")])
            return 1
        }
        return 0
    }
}

@Suite("Fused forms")
struct FusedFormTests {
    private func sum(of addend: (inout Graph) throws -> ValueID) throws -> Graph {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 2)
        let product = graph.apply(
            .fusedMatMul, x, try graph.counting("w", [2, 3]), name: "product")
        let added = try addend(&graph)
        graph.outputs = [graph.apply(.add, product, added, name: "y")]
        return graph
    }

    @Test("a fusion of what does not fit is refused with the pass's name and the reason")
    func refused() throws {
        // The addition repeats one number for each row; the fused form would read a matrix.
        let column = try sum { graph in
            graph.addInput(
                name: "column",
                type: ValueType(elementType: .float32, dimensions: [batch, 1]))
        }
        #expect {
            try nodes(after: FuseBlindly(slot: 2), of: column)
        } throws: { error in
            let message = (error as? GraphError)?.message ?? ""
            return message.contains("fuse-blindly") && message.contains("input 2")
        }
        // One row for all; the fused form would read one for each.
        let row = try sum { graph in
            graph.addInput(
                name: "row", type: ValueType(elementType: .float32, dimensions: [1, 3]))
        }
        #expect {
            try nodes(after: FuseBlindly(slot: 3), of: row)
        } throws: { error in
            let message = (error as? GraphError)?.message ?? ""
            return message.contains("fuse-blindly") && message.contains("'row'")
        }
    }

    @Test("a quantised product of floats, an unknown activation and a computed scale are illegal")
    func illegal() throws {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, 2)
        let scale = graph.input("scale", 1)
        let w = graph.addConstant(
            name: "w", try Tensor([Int8](repeating: 1, count: 6), shape: [2, 3]))
        let quantized = graph.addValue(name: "quantized")
        graph.addNode(.quantizedMatMul, inputs: [x, w, nil, nil, scale, nil], outputs: [quantized])
        let odd = graph.apply(
            .fusedMatMul, x, try graph.counting("f", [2, 3]), name: "odd",
            attributes: ["activation": .string("Odd")])
        graph.outputs = [quantized, odd]
        let found = graph.violations(of: .optimised)
        #expect(found.contains { $0.contains("'x'") && $0.contains("QuantizedMatMul") })
        #expect(found.contains { $0.contains("'odd'") && $0.contains("activation") })
        #expect(graph.violations(of: .imported).isEmpty)
    }
}
