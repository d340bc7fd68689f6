// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import Glibc
internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Concurrent traversal", .serialized)
struct TraversalTests {
    /// 10 000 nodes of layer normalisations and GELUs as torch writes them, in a chain.
    private func large() throws -> Graph {
        var graph = Graph(name: "large")
        var x = graph.input("x", batch, 8)
        let axes = try graph.ints(-1)
        let (two, one, half) = (try graph.number(2), try graph.number(1), try graph.number(0.5))
        let epsilon = try graph.number(1e-5)
        let root = try graph.number(Float(2).squareRoot())
        while graph.nodeCount < 10_000 {
            let mean = graph.apply(.reduceMean, x, axes)
            let centred = graph.apply(.sub, x, mean)
            let variance = graph.apply(.reduceMean, graph.apply(.pow, centred, two), axes)
            let deviation = graph.apply(.sqrt, graph.apply(.add, variance, epsilon))
            let normal = graph.apply(.div, centred, deviation)
            let erf = graph.apply(.erf, graph.apply(.div, normal, root))
            let gate = graph.apply(.mul, normal, graph.apply(.add, erf, one))
            x = graph.apply(.identity, graph.apply(.mul, gate, half))
        }
        graph.outputs = [x]
        try graph.inferShapes()
        return graph
    }

    @Test("all threads together find what one finds in 10 000 nodes")
    func places() throws {
        let graph = try large()
        func all(_ threads: Int) -> [[NodeID]] {
            [
                graph.places(of: EliminateNoOps(), threads: threads),
                graph.places(of: RecoverLayerNorm(), threads: threads),
                graph.places(of: RecoverGelu(), threads: threads),
                graph.places(of: FuseSkipLayerNorm(), threads: threads),
            ]
        }
        let alone = all(1)
        #expect(alone[1].count > 700 && alone[2].count > 700)
        #expect(all(0) == alone)
        // What Benchmarks/graph/run prints: medians of the search by all four passes.
        guard unsafe getenv("MARTLET_TRAVERSAL") != nil else { return }
        let clock = ContinuousClock()
        func median(_ threads: Int) -> Double {
            var times: [Duration] = []
            for _ in 0..<101 { times.append(clock.measure { _ = all(threads) }) }
            return times.sorted()[50] / .microseconds(1)
        }
        for _ in 0..<3 {
            let (one, two) = (median(1), median(2))
            let ratio = (one / two * 100).rounded() / 100
            let line = "\(graph.nodeCount) nodes: \(one) µs on 1 thread, \(two) on 2: \(ratio) ×\n"
            _ = unsafe write(STDOUT_FILENO, Array(line.utf8), line.utf8.count)
        }
    }
}
