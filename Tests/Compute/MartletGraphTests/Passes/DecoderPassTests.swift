// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletGraph
internal import MartletTensor
internal import Testing

@Suite("Recover root-mean-square normalisation and softmax")
struct RecoverNormTests {
    enum Spelling: CaseIterable { case divided, reciprocal, quotient, power }

    private func normalized(
        _ spelling: Spelling, axis: Int64 = -1, squares other: Bool = false
    ) throws -> Graph {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, seq, 8)
        let base = other ? graph.input("z", batch, seq, 8) : x
        let square = graph.apply(.pow, base, try graph.number(2))
        let mean = graph.apply(.reduceMean, square, try graph.ints(axis))
        let sum = graph.apply(.add, mean, try graph.number(0.001))
        let part: ValueID
        switch spelling {
        case .divided: part = graph.apply(.div, x, graph.apply(.sqrt, sum))
        case .reciprocal:
            part = graph.apply(.mul, x, graph.apply(.reciprocal, graph.apply(.sqrt, sum)))
        case .quotient:
            let root = graph.apply(.sqrt, sum)
            part = graph.apply(.mul, graph.apply(.div, try graph.number(1), root), x)
        case .power:
            part = graph.apply(.mul, x, graph.apply(.pow, sum, try graph.number(-0.5)))
        }
        graph.outputs = [graph.apply(.mul, try graph.counting("w", [8]), part, name: "y")]
        return graph
    }

    @Test("of every spelling, with its scale", arguments: Spelling.allCases)
    func norm(_ spelling: Spelling) throws {
        #expect(
            try nodes(after: RecoverRMSNorm(), of: normalized(spelling)) == [
                "y.out: float32[batch, seq, 8] = RMSNormalization(x, w) {axis=-1, epsilon=0.001}"
            ])
    }

    @Test("not of another axis, nor of another value's squares")
    func keepsNorm() throws {
        let kept = [
            try normalized(.divided, axis: 1), try normalized(.divided, squares: true),
        ]
        for graph in kept {
            let left = try nodes(after: RecoverRMSNorm(), of: graph)
            #expect(!left.contains { $0.contains("RMSNormalization") })
        }
    }

    private func softmax(axis: Int64, maximumAxis: Int64?) throws -> Graph {
        var graph = Graph(name: "g")
        let x = graph.input("x", batch, seq, 8)
        var power = x
        if let maximumAxis {
            power = graph.apply(
                .sub, x, graph.apply(.reduceMax, x, try graph.ints(maximumAxis)))
        }
        let powers = graph.apply(.exp, power)
        let total = graph.apply(.reduceSum, powers, try graph.ints(axis))
        graph.outputs = [graph.apply(.div, powers, total, name: "y")]
        return graph
    }

    @Test("softmax with its maximum taken away, and without")
    func softmaxes() throws {
        for maximum in [Int64(1), -2, nil] {
            #expect(
                try nodes(after: RecoverSoftmax(), of: softmax(axis: 1, maximumAxis: maximum))
                    == ["y.out: float32[batch, seq, 8] = Softmax(x) {axis=1}"])
        }
        // The largest of another axis is just a number taken away: the rest is a softmax.
        let other = try nodes(after: RecoverSoftmax(), of: softmax(axis: 1, maximumAxis: 2))
        #expect(other.last?.contains("= Softmax(Sub") == true)
        #expect(other.last?.contains("axis=1") == true)
    }
}

@Suite("Recover rotary positions and grouped attention")
struct RecoverDecoderTests {
    struct Options {
        /// Heads of queries; keys have two.
        var heads = 4
        var angleHalvesAreAlike = true
        var negatesFirst = true
        var usesRotary = true
        var causal = false
        var softcap: Float?
        var normalizesHeads = false
    }

    /// A layer's attention on x[2, 3, 8·4] as torch writes it for Llama and its kin.
    private func graph(_ options: Options = Options()) throws -> Graph {
        var graph = Graph(name: "g")
        let x = graph.input("x", 2, 3, 32)
        let f = graph.input("f", 2, 3, 4)
        let g = options.angleHalvesAreAlike ? f : graph.input("g", 2, 3, 4)
        let angles = graph.apply(.concat, f, g, attributes: ["axis": .int(-1)])
        let cosines = graph.apply(.unsqueeze, graph.apply(.cos, angles), try graph.ints(1))
        let sines = graph.apply(.unsqueeze, graph.apply(.sin, angles), try graph.ints(1))
        func heads(_ name: String, _ count: Int) throws -> ValueID {
            let flat = graph.apply(
                .matMul, x, try graph.counting("w" + name, [32, 8 * count]), name: name)
            var apart = graph.apply(.reshape, flat, try graph.ints(2, 3, Int64(count), 8))
            if options.normalizesHeads {
                apart = graph.apply(.rmsNormalization, apart, try graph.counting("n" + name, [8]))
            }
            return graph.apply(.transpose, apart, attributes: ["perm": .ints([0, 2, 1, 3])])
        }
        func rotated(_ value: ValueID) throws -> ValueID {
            guard options.usesRotary else { return value }
            let axes = try (graph.ints(3), graph.ints(1))
            let lower = graph.apply(
                .slice, value, try graph.ints(0), try graph.ints(4), axes.0, axes.1)
            let upper = graph.apply(
                .slice, value, try graph.ints(4), try graph.ints(.max), axes.0, axes.1)
            let halves =
                options.negatesFirst
                ? [graph.apply(.neg, upper), lower] : [upper, graph.apply(.neg, lower)]
            let turned = graph.apply(
                .concat, halves[0], halves[1], attributes: ["axis": .int(-1)])
            return graph.apply(
                .add, graph.apply(.mul, value, cosines), graph.apply(.mul, turned, sines))
        }
        func repeated(_ value: ValueID) throws -> ValueID {
            let times = Int64(options.heads / 2)
            if times == 1 { return value }
            let spread = graph.apply(
                .expand, graph.apply(.unsqueeze, value, try graph.ints(2)),
                try graph.ints(2, 2, times, 3, 8))
            return graph.apply(
                .reshape, spread, try graph.ints(2, Int64(options.heads), 3, 8))
        }
        let queries = try rotated(heads("q", options.heads))
        let keys = try repeated(rotated(heads("k", 2)))
        let values = try repeated(heads("v", 2))
        let turned = graph.apply(.transpose, keys, attributes: ["perm": .ints([0, 1, 3, 2])])
        var scores = graph.apply(
            .mul, graph.apply(.matMul, queries, turned), try graph.number(0.5))
        if let softcap = options.softcap {
            let small = graph.apply(.div, scores, try graph.number(softcap))
            scores = graph.apply(
                .mul, graph.apply(.tanh, small), try graph.number(softcap))
        }
        if options.causal {
            let hidden = (0..<9).map { $0 % 3 > $0 / 3 ? -Float.infinity : 0 }
            let mask = graph.addConstant(
                name: "causal", try Tensor(hidden, shape: [1, 1, 3, 3]))
            scores = graph.apply(.add, scores, mask)
        } else {
            scores = graph.apply(.add, scores, graph.input("mask", 2, 1, 3, 3))
        }
        let weights = graph.apply(.softmax, scores, attributes: ["axis": .int(-1)])
        let merged = graph.apply(
            .transpose, graph.apply(.matMul, weights, values),
            attributes: ["perm": .ints([0, 2, 1, 3])])
        let width = Int64(8 * options.heads)
        graph.outputs = [
            graph.apply(.reshape, merged, try graph.ints(2, 3, width), name: "y")
        ]
        return graph
    }

    private func recovered(_ options: Options) throws -> [String] {
        try nodes(after: RecoverRotary(), RecoverAttention(), of: graph(options))
    }

    @Test("heads are turned and read where they lie, keys once for their group")
    func wholeLayer() throws {
        let lines = try recovered(Options())
        let turned = lines.filter { $0.contains("= RotaryEmbedding(") }
        #expect(turned.count == 2)
        #expect(turned.contains { $0.contains("(q.out, ") && $0.contains("{num_heads=4}") })
        #expect(turned.contains { $0.contains("(k.out, ") && $0.contains("{num_heads=2}") })
        #expect(lines.last?.contains("y.out: float32[2, 3, 32] = Attention(") == true)
        #expect(
            lines.last?.contains(
                ", v.out, mask) {kv_num_heads=2, q_num_heads=4, scale=0.5}") == true)
        #expect(!lines.contains { $0.contains("Transpose(") || $0.contains("Expand(") })
    }

    @Test("angles whose halves may differ, and the other order of halves, stay written out")
    func keepsRotary() throws {
        for options in [Options(angleHalvesAreAlike: false), Options(negatesFirst: false)] {
            let lines = try nodes(after: RecoverRotary(), of: graph(options))
            #expect(!lines.contains { $0.contains("RotaryEmbedding") })
        }
    }

    @Test("as many heads of keys as of queries are our own attention; a constant mask is causality")
    func causal() throws {
        let lines = try recovered(Options(heads: 2, causal: true))
        #expect(lines.last?.contains("martlet.Attention(") == true)
        #expect(lines.last?.contains("v.out) {causal=1, heads=2, scale=0.5}") == true)
        let grouped = try recovered(Options(causal: true))
        #expect(grouped.last?.contains("is_causal=1") == true)
        #expect(grouped.last?.contains("causal)") == false)
    }

    @Test("scores capped by a tanh keep their cap")
    func softcap() throws {
        let lines = try recovered(Options(softcap: 30))
        #expect(lines.last?.contains("scale=0.5, softcap=30.0}") == true)
    }

    @Test("heads that are normalised first are read as four dimensions")
    func normalizedHeads() throws {
        let lines = try recovered(Options(normalizesHeads: true))
        let attention = lines.first { $0.contains(" = Attention(") }
        #expect(attention?.contains("float32[2, 4, 3, 8] = Attention(") == true)
        #expect(!lines.contains { $0.contains("Expand(") || $0.contains("Softmax(") })
    }
}
