// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGraph
internal import MartletTensor
internal import Testing

/// Every operator that has a shape rule.
let everySchema: [OperatorSchema] = [
    .topK, .nonZero, .compress, .eyeLike, .attention, .maskedMeanPooling, .embeddingLayerNorm, .add,
    .sub, .mul, .div, .pow, .mod, .max, .min, .sum, .mean, .equal, .greater, .greaterOrEqual, .less,
    .lessOrEqual, .and, .or, .xor, .bitShift, .bitwiseAnd, .bitwiseOr, .bitwiseXor, .pRelu,
    .layerNormalization, .skipLayerNormalization, .rmsNormalization, .batchNormalization,
    .instanceNormalization, .groupNormalization, .scaleShift, .l2Normalize, .maxPool, .averagePool,
    .lpPool, .globalAveragePool, .globalMaxPool, .globalLpPool, .shape, .size, .constantOfShape,
    .expand, .`where`, .range, .reduceMean, .reduceSum, .reduceProd, .reduceMax, .reduceMin,
    .reduceL1, .reduceL2, .reduceLogSum, .reduceLogSumExp, .reduceSumSquare, .argMax, .argMin,
    .conv, .fusedConv, .convTranspose, .quantizeLinear, .dequantizeLinear, .dynamicQuantizeLinear,
    .matMulInteger, .transpose, .slice, .abs, .neg, .floor, .ceil, .round, .sqrt, .reciprocal,
    .sign, .exp, .log, .sin, .cos, .tan, .asin, .acos, .atan, .sinh, .cosh, .asinh, .acosh, .atanh,
    .tanh, .erf, .sigmoid, .relu, .leakyRelu, .elu, .selu, .celu, .thresholdedRelu, .softplus,
    .softsign, .mish, .hardSigmoid, .hardSwish, .shrink, .swish, .gelu, .bitwiseNot, .identity,
    .not, .isNaN, .isInf, .clip, .softmax, .logSoftmax, .hardmax, .lrn, .lpNormalization,
    .meanVarianceNormalization, .cumSum, .trilu, .dropout, .cast, .castLike, .reshape, .flatten,
    .squeeze, .unsqueeze, .pad, .tile, .split, .gather, .gatherElements, .gatherND, .scatterND,
    .scatterElements, .oneHot, .matMul, .gemm, .fusedMatMul, .concat, .einsum, .resize,
    .depthToSpace, .spaceToDepth, .scaledAttention, .flexAttention, .rotaryEmbedding,
    .linearAttention, .causalConvWithState, .swiGLU, .tensorScatter, .negativeLogLikelihoodLoss,
    .softmaxCrossEntropyLoss, .bitCast, .cumProd, .deformConv, .col2Im, .maxUnpool, .qLinearMatMul,
    .convInteger, .qLinearConv, .gridSample, .affineGrid, .roiAlign, .maxRoiPool, .centerCropPad,
    .rnn, .gru, .lstm, .dft, .stft, .hannWindow, .melWeightMatrix, .randomNormal,
    .randomUniformLike,
    .bernoulli, .multinomial, .arrayFeatureExtractor, .binarizer, .treeEnsemble, .det,
    .reverseSequence, .stringConcat, .stringEqual, .stringSplit, .stringNormalizer,
    .regexFullMatch, .tfIdfVectorizer, .labelEncoder,
]

/// Nodes as nobody means them: wrong ranks, absurd numbers, attributes of the wrong kind.
struct HostileNodes {
    private var random: SeededRandom
    private static let numbers: [Int64] = [
        0, 1, 2, 3, 4, 5, 7, -1, -2, -3, 16, 64, 255, 1 << 20, 1 << 31, 1 << 40, -(1 << 33),
        .max, .min, .max - 1, .min + 1,
    ]
    private static let attributeNames = [
        "axis", "axes", "keepdims", "kernel_shape", "strides", "pads", "dilations", "group",
        "auto_pad", "ceil_mode", "perm", "to", "heads", "layout", "transA", "transB", "blocksize",
        "num_outputs", "batch_dims", "equation", "start", "end", "value", "noop_with_empty_axes",
        "allowzero", "output_padding", "output_shape", "k", "positionOffset", "dtype",
        "output_dtype", "fmod", "activation",
    ]
    private static let texts = [
        "NHWC", "NCHW", "SAME_UPPER", "SAME_LOWER", "VALID", "", "ij,jk->ik", "...i->i", "->", ",",
        "Relu",
    ]

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    private mutating func pick<Item>(_ items: [Item]) -> Item {
        items[Int.random(in: 0..<items.count, using: &random)]
    }

    private mutating func list<Item>(upTo limit: Int, _ make: (inout Self) -> Item) -> [Item] {
        (0..<Int.random(in: 0...limit, using: &random)).map { _ in make(&self) }
    }

    private mutating func number() -> Int64 {
        Bool.random(using: &random) ? Int64.random(in: -2...4, using: &random) : pick(Self.numbers)
    }

    private mutating func dimension() -> Dimension {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: batch
        case 1: Dimension(Int(Swift.max(number(), 0)))
        default: Dimension(Int.random(in: 0...4, using: &random))
        }
    }

    private mutating func attribute() -> AttributeValue {
        switch Int.random(in: 0..<5, using: &random) {
        case 0, 1: .int(number())
        case 2: .ints(list(upTo: 6) { $0.number() })
        case 3: .string(pick(Self.texts))
        default: .float(pick([0, 1, -1, .nan, .infinity, 1e30]))
        }
    }

    /// A graph of one node.
    mutating func graph(_ schema: OperatorSchema) throws -> Graph {
        var graph = Graph(name: "hostile")
        var inputs: [ValueID?] = []
        for index in 0..<Int.random(in: 0...6, using: &random) {
            switch Int.random(in: 0..<8, using: &random) {
            case 0: inputs.append(nil)
            case 1, 2:
                let numbers = list(upTo: 6) { $0.number() }
                inputs.append(graph.addConstant(name: "c\(index)", try Tensor(numbers)))
            case 3:
                let numbers = list(upTo: 4) { Float($0.number()) }
                inputs.append(graph.addConstant(name: "c\(index)", try Tensor(numbers)))
            case 4: inputs.append(graph.addInput(name: "x\(index)", type: ValueType()))
            default:
                let type = pick([ElementType.float32, .int64, .bool])
                let dimensions = list(upTo: 6) { $0.dimension() }
                inputs.append(
                    graph.addInput(
                        name: "x\(index)",
                        type: ValueType(elementType: type, dimensions: dimensions)))
            }
        }
        var attributes: [String: AttributeValue] = [:]
        for _ in 0..<Int.random(in: 0...5, using: &random) {
            attributes[pick(Self.attributeNames)] = attribute()
        }
        let outputs = (0..<Int.random(in: 0...3, using: &random)).map {
            graph.addValue(name: "y\($0)")
        }
        graph.addNode(
            schema, name: "node", inputs: inputs, outputs: outputs, attributes: attributes)
        graph.outputs = outputs
        return graph
    }
}

@Suite("Hostile models")
struct HostileRuleTests {
    @Test("no rule and no pass traps on nodes that nobody means")
    func rules() throws {
        var understood = 0
        for (index, schema) in everySchema.enumerated() {
            var nodes = HostileNodes(seed: UInt64(index))
            for _ in 0..<60 {
                var graph = try nodes.graph(schema)
                do throws(GraphError) {
                    try graph.inferShapes()
                    understood += 1
                    let pipeline = PassPipeline.standard(
                        channelsLast: [.fusedConv, .maxPool], verifies: true,
                        evaluate: { _, _, _, _ in nil })
                    try pipeline.run(on: &graph)
                } catch {
                    #expect(!error.message.contains("left"), "seed \(index): \(error.message)")
                }
            }
        }
        #expect(understood > 400)
    }
}
