// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletEngine
internal import MartletGraph
internal import MartletTensor
internal import Testing

/// Inputs and attributes that do not fit: an error, or numbers, but never an end.
@Suite struct HostileOperatorTests {
    private static let schemas: [OperatorSchema] = [
        .affineGrid, .arrayFeatureExtractor, .bernoulli, .binarizer, .bitCast, .causalConvWithState,
        .centerCropPad, .col2Im, .convInteger, .convTranspose, .cumProd, .cumSum, .deformConv, .det,
        .dft, .dynamicQuantizeLinear, .einsum, .eyeLike, .gatherND, .globalLpPool, .gridSample,
        .gru, .hannWindow, .hardmax, .linearAttention, .lpNormalization, .lpPool, .lstm,
        .matMulInteger, .maxPool, .maxRoiPool, .maxUnpool, .meanVarianceNormalization,
        .melWeightMatrix, .multinomial, .negativeLogLikelihoodLoss, .qLinearConv, .qLinearMatMul,
        .quantizeLinear, .dequantizeLinear, .resize, .reverseSequence, .rnn, .roiAlign,
        .rotaryEmbedding, .scaledAttention, .scatterElements, .scatterND, .shrink,
        .softmaxCrossEntropyLoss, .stft, .swiGLU, .tensorScatter, .treeEnsemble,
    ]

    private static let attributes: [(String, [AttributeValue])] = [
        ("axis", [.int(-9), .int(0), .int(1), .int(7)]),
        ("kernel_shape", [.ints([2]), .ints([1, 2]), .ints([3, 3]), .ints([0, -1])]),
        ("strides", [.ints([1, 1]), .ints([2, 1]), .ints([0, 0]), .ints([1 << 40, 1])]),
        ("pads", [.ints([0, 0, 0, 0]), .ints([1, 1, 1, 1]), .ints([-5, 3, -7, 1])]),
        ("group", [.int(1), .int(2), .int(-1), .int(0)]), ("batch_dims", [.int(0), .int(1)]),
        ("q_num_heads", [.int(1), .int(2), .int(0)]), ("kv_num_heads", [.int(1), .int(2)]),
        ("num_heads", [.int(1), .int(2), .int(-3)]), ("layout", [.int(0), .int(1)]),
        ("direction", [.string("forward"), .string("bidirectional"), .string("x")]),
        ("equation", [.string("ij,jk->ik"), .string("ii"), .string("...i->...")]),
        ("reduction", [.string("add"), .string("none"), .string("mean")]),
        ("mode", [.string("linear"), .string("cubic"), .string("nearest")]),
        ("to", [.int(7), .int(1), .int(21)]), ("k", [.int(1), .int(.max)]),
        ("pooled_shape", [.ints([2, 2])]), ("sampling_ratio", [.int(0), .int(2)]),
        ("spatial_scale", [.float(1), .float(.infinity), .float(1e9)]),
        ("rotary_embedding_dim", [.int(0), .int(2), .int(99)]), ("n_targets", [.int(1), .int(3)]),
        ("tree_roots", [.ints([0]), .ints([5])]), ("sample_size", [.int(2), .int(-2)]),
    ]

    private static func tensor(_ generator: inout SeededRandom) throws -> Tensor {
        let rank = Int.random(in: 0...4, using: &generator)
        let shape = Shape((0..<rank).map { _ in Int.random(in: 0...3, using: &generator) }) ?? []
        let count = shape.elementCountChecked ?? 0
        switch Int.random(in: 0..<4, using: &generator) {
        case 0:
            let odd: [Int64] = [-1, 0, 1, 2, 3, .max, .min, 1 << 33]
            return try Tensor(
                (0..<count).map { _ in odd.randomElement(using: &generator) ?? 0 }, shape: shape)
        case 1:
            return try Tensor(
                (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }, shape: shape)
        default:
            let odd: [Float] = [0, 1, -1, 0.5, 2, .nan, .infinity, -1e30, 1e9]
            return try Tensor(
                (0..<count).map { _ in odd.randomElement(using: &generator) ?? 0 }, shape: shape)
        }
    }

    @Test("Random shapes, types, contents and attributes end in an answer or an error")
    func random() throws {
        let seed: UInt64 = 20_261_121
        var generator = SeededRandom(seed: seed)
        var answered = 0
        for round in 0..<60 {
            for schema in Self.schemas {
                let input = try Self.tensor(&generator)
                let count = Int.random(in: 0...7, using: &generator)
                let others = try (0..<count).map { _ in
                    Int.random(in: 0..<5, using: &generator) == 0
                        ? nil : try Self.tensor(&generator)
                }
                var attributes: [String: AttributeValue] = [:]
                for (name, values) in Self.attributes
                where Int.random(in: 0..<3, using: &generator) == 0 {
                    attributes[name] = values.randomElement(using: &generator)
                }
                // The last thing printed, should a run end the process.
                let answers = try? OperatorTests.run(
                    schema, input, others, attributes, outputs: 1 + round % 3)
                if answers != nil { answered += 1 }
            }
        }
        #expect(answered > 100, "seed \(seed): only \(answered) runs gave an answer")
    }

    @Test("Indices outside their tensor are refused")
    func indices() throws {
        let data = try OperatorTests.floats(1...4, [2, 2])
        let far = try Tensor([5] as [Int64], shape: [1, 1])
        #expect(throws: EngineError.self) {
            try OperatorTests.run(
                .scatterElements, data, [far, Tensor([1] as [Float], shape: [1, 1])],
                ["reduction": .string("add")])
        }
        #expect(throws: EngineError.self) {
            try OperatorTests.run(
                .negativeLogLikelihoodLoss, data, [Tensor([0, 7] as [Int64])])
        }
        #expect(throws: EngineError.self) {
            try OperatorTests.run(.reverseSequence, data, [Tensor([3, 1] as [Int64])])
        }
    }
}
