// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Fuse embedding norm")
struct FuseEmbeddingNormTests {
    struct Options {
        var tables = 3
        var axis: Int64 = -1
        var readsSum = false
        var sharesPlaces = true
        var tableAxis: Int64 = 0
    }

    /// Rows of some tables, summed and normalised, as encoders begin.
    private func graph(_ options: Options = Options()) throws -> Graph {
        var graph = Graph(name: "g")
        var sum: ValueID?
        for index in 0..<options.tables {
            let rows = options.sharesPlaces && index == 1 ? Dimension(1) : batch
            let ids = graph.addInput(
                name: "ids\(index)", type: ValueType(elementType: .int64, dimensions: [rows, seq]))
            let table = try graph.counting("table\(index)", [8, 8])
            let row = graph.apply(
                .gather, table, ids, attributes: ["axis": .int(options.tableAxis)])
            sum = sum.map { graph.apply(.add, $0, row) } ?? row
        }
        let whole = try #require(sum)
        let norm = graph.apply(
            .layerNormalization, whole, try graph.counting("w", [8]), try graph.counting("b", [8]),
            name: "y", attributes: ["axis": .int(options.axis), "epsilon": .float(0.5)])
        graph.outputs = [norm] + (options.readsSum ? [whole] : [])
        return graph
    }

    private func fused(_ options: Options) throws -> [String] {
        try nodes(after: FuseEmbeddingNorm(), of: graph(options))
    }

    @Test("rows of two to four tables, places shared by the batch")
    func fuses() throws {
        #expect(
            try fused(Options()) == [
                "y.out: float32[batch, seq, 8] = martlet.EmbeddingSumNorm(w, b, table2, ids2, "
                    + "table1, ids1, table0, ids0) {epsilon=0.5}"
            ])
        #expect(try fused(Options(tables: 2)).count == 1)
        #expect(try fused(Options(tables: 4, sharesPlaces: false)).count == 1)
    }

    @Test("not where the sum is read, of one table or five, or of another axis")
    func keeps() throws {
        let kept = [
            Options(readsSum: true), Options(tables: 1, sharesPlaces: false), Options(tables: 5),
            Options(axis: 1),
        ]
        for options in kept {
            #expect(try !fused(options).contains { $0.contains("EmbeddingSumNorm") })
        }
    }
}
