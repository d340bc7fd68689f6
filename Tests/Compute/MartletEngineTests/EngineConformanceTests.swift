// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import MartletTesting
internal import Testing

@Suite struct EngineConformanceTests {
    static func identity(_ type: ElementType) throws -> Graph {
        var graph = Graph(name: "echo")
        let input = graph.addInput(
            name: "INPUT",
            type: ValueType(
                elementType: type, dimensions: [Dimension(symbol: "batch"), Dimension(4)]))
        let output = graph.addValue(name: "OUTPUT")
        graph.addNode(.identity, inputs: [input], outputs: [output])
        graph.outputs = [output]
        try graph.inferShapes()
        return graph
    }

    @Test("The native engine keeps the engines' contract")
    func native() {
        let suite = EngineConformance { type in
            try NativeEngine().load(.graph(Self.identity(type)), options: EngineOptions())
        }
        #expect(suite.run() == [])
    }

    @Test("The test twin keeps the engines' contract")
    func twin() {
        let suite = EngineConformance { type in
            try TestEngine.echo(type).load(
                .graph(Graph(name: "ignored")), options: EngineOptions())
        }
        #expect(suite.run() == [])
    }
}
