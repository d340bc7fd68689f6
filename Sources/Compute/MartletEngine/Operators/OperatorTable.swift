// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

package import MartletGraph

/// The operators that the native engine computes, found by schema.
package struct OperatorTable: Sendable {
    private let bySchema: [OperatorSchema: NativeOperator]

    package init(_ operators: [NativeOperator]) {
        bySchema = Dictionary(
            operators.map { ($0.schema, $0) }, uniquingKeysWith: { _, later in later })
    }

    func `operator`(for schema: OperatorSchema) -> NativeOperator? { bySchema[schema] }

    /// What runs the node on whole values; nil where only steps can.
    func host(for node: NodeID, in graph: Graph) -> HostOperator? {
        guard let known = bySchema[graph.schema(of: node)] else { return nil }
        if let host = known.host { return host }
        let values = graph.inputs(of: node) + graph.outputs(of: node)
        let hasTensorsOnly = values.allSatisfy { value in
            value.map { graph.type(of: $0).container == .tensor } ?? true
        }
        // A sequence passes through as it is.
        return known.schema == .identity && !hasTensorsOnly ? NativeOperator.passOn : nil
    }

    /// What an importer may use.
    package var schemas: OperatorSet { OperatorSet(bySchema.keys) }

    /// Those that take channels-last images when `layout` is "NHWC".
    var channelsLast: Set<OperatorSchema> {
        [
            .averagePool, .fusedConv, .globalAveragePool, .globalMaxPool, .lrn, .maxPool,
            .quantizedConv, .scaleShift,
        ]
    }

    /// All of them, one line each.
    package static let standard = OperatorTable([
        // Elementwise, two inputs
        .add,
        .and,
        .bitShift,
        .bitwiseAnd,
        .bitwiseOr,
        .bitwiseXor,
        .div,
        .equal,
        .greater,
        .greaterOrEqual,
        .less,
        .lessOrEqual,
        .max,
        .mean,
        .min,
        .mod,
        .mul,
        .or,
        .pRelu,
        .pow,
        .sub,
        .sum,
        .xor,
        // Elementwise, one input
        .abs,
        .acos,
        .acosh,
        .asin,
        .asinh,
        .atan,
        .atanh,
        .bitCast,
        .bitwiseNot,
        .cast,
        .castLike,
        .ceil,
        .celu,
        .clip,
        .cos,
        .cosh,
        .elu,
        .erf,
        .exp,
        .floor,
        .gelu,
        .hardSigmoid,
        .hardSwish,
        .isInf,
        .isNaN,
        .leakyRelu,
        .log,
        .mish,
        .neg,
        .not,
        .reciprocal,
        .relu,
        .round,
        .selu,
        .shrink,
        .sigmoid,
        .sign,
        .sin,
        .sinh,
        .softplus,
        .softsign,
        .sqrt,
        .swish,
        .tan,
        .tanh,
        .thresholdedRelu,
        // Products and convolutions
        .attention,
        .blockMatMul,
        .col2Im,
        .conv,
        .convInteger,
        .convTranspose,
        .deformConv,
        .det,
        .einsum,
        .fusedConv,
        .fusedMatMul,
        .gemm,
        .matMul,
        .matMulInteger,
        .qLinearConv,
        .qLinearMatMul,
        .quantizedBinary,
        .quantizedConv,
        .quantizedMatMul,
        // Pools and normalisations
        .averagePool,
        .batchNormalization,
        .embeddingLayerNorm,
        .embeddingSumNorm,
        .globalAveragePool,
        .globalLpPool,
        .globalMaxPool,
        .groupNormalization,
        .instanceNormalization,
        .l2Normalize,
        .hardmax,
        .layerNormalization,
        .logSoftmax,
        .lpNormalization,
        .lpPool,
        .lrn,
        .maskedMeanPooling,
        .maxPool,
        .maxUnpool,
        .meanVarianceNormalization,
        .rmsNormalization,
        .scaleShift,
        .skipLayerNormalization,
        .softmax,
        // Language models
        .adaptRows,
        .causalConvWithState,
        .embedRows,
        .expertRows,
        .flexAttention,
        .linearAttention,
        .multiplyRows,
        .normRows,
        .pagedAttention,
        .prepareRows,
        .rotaryAngles,
        .rotaryCache,
        .rotaryEmbedding,
        .scaledAttention,
        .swiGLU,
        .takeRows,
        .tensorScatter,
        // Signals
        .blackmanWindow,
        .dft,
        .hammingWindow,
        .hannWindow,
        .melWeightMatrix,
        .stft,
        // Random numbers
        .bernoulli,
        .multinomial,
        .randomNormal,
        .randomNormalLike,
        .randomUniform,
        .randomUniformLike,
        // Texts
        .regexFullMatch,
        .stringConcat,
        .stringEqual,
        .stringNormalizer,
        .stringSplit,
        .tfIdfVectorizer,
        // Features and trees
        .arrayFeatureExtractor,
        .binarizer,
        .labelEncoder,
        .treeEnsemble,
        // Recurrent networks
        .gru,
        .lstm,
        .rnn,
        // Losses
        .negativeLogLikelihoodLoss,
        .softmaxCrossEntropyLoss,
        // Reductions
        .argMax,
        .argMin,
        .cumProd,
        .cumSum,
        .reduceL1,
        .reduceL2,
        .reduceLogSum,
        .reduceLogSumExp,
        .reduceMax,
        .reduceMean,
        .reduceMin,
        .reduceProd,
        .reduceSum,
        .reduceSumSquare,
        // Control flow, sequences, optional values
        .concatFromSequence,
        .if,
        .loop,
        .optional,
        .optionalGetElement,
        .optionalHasElement,
        .scan,
        .sequenceAt,
        .sequenceConstruct,
        .sequenceEmpty,
        .sequenceErase,
        .sequenceInsert,
        .sequenceLength,
        .sequenceMap,
        .splitToSequence,
        // Sizes that follow from the data
        .compress,
        .nonMaxSuppression,
        .nonZero,
        .unique,
        // Images
        .affineGrid,
        .centerCropPad,
        .gridSample,
        .maxRoiPool,
        .roiAlign,
        // Moving and choosing elements
        .concat,
        .constantOfShape,
        .depthToSpace,
        .dequantizeLinear,
        .dropout,
        .dynamicQuantizeLinear,
        .expand,
        .eyeLike,
        .flatten,
        .gather,
        .gatherElements,
        .gatherND,
        .identity,
        .oneHot,
        .pad,
        .quantizeLinear,
        .range,
        .reshape,
        .resize,
        .reverseSequence,
        .scatterElements,
        .scatterND,
        .shape,
        .size,
        .slice,
        .spaceToDepth,
        .split,
        .squeeze,
        .tile,
        .topK,
        .transpose,
        .trilu,
        .unsqueeze,
        .where,
    ])
}
