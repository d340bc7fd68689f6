// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension TypeRules {
    /// Made by Scripts/make-operator-types.py from the schemas of onnx 1.23.2.
    static let table = """
        Abs a13cfe
        Acos a10c02
        Acosh a10c02
        Add a13cfe a13cfe
        AffineGrid a10c02 b80
        And a200 a200
        ArgMax a13cfe
        ArgMin a13cfe
        Asin a10c02
        Asinh a10c02
        Atan a10c02
        Atanh a10c02
        Attention a10c02 a10c02 b10c02 c13efe a10c02 b10c02 d80
        AveragePool a10c02
        BatchNormalization a10c02 b10c02 b10c02 c10c02 c10c02
        Bernoulli a10c02
        BitCast a7fffefe
        BitShift a30fc a30fc
        BitwiseAnd a30fc a30fc
        BitwiseNot a30fc
        BitwiseOr a30fc a30fc
        BitwiseXor a30fc a30fc
        BlackmanWindow ac0
        Cast a1fff3ffe
        CastLike a7ff3ffe b7ff3ffe
        CausalConvWithState a10402 a10402 a10402 a10402
        Ceil a10c02
        Celu a10c02
        CenterCropPad a1fffe bc0
        Clip a13cfe a13cfe a13cfe
        Col2Im a1fffe b80 b80
        Compress a1fffe b200
        Concat a1fffe+
        ConcatFromSequence afffe
        ConstantOfShape a80
        Conv a10c02 a10c02 a10c02
        ConvInteger ac bc ac bc
        ConvTranspose a10c02 a10c02 a10c02
        Cos a10c02
        Cosh a10c02
        CumProd a13cc2 bc0
        CumSum a13cc2 bc0
        DFT a10c02 bc0 c80
        DeformConv a10c02 a10c02 a10c02 a10c02 a10c02
        DepthToSpace a1fffe
        DequantizeLinear a1efe007c b1010402 a1efe007c
        Det a10c02
        Div a13cfe a13cfe
        Dropout a1f0c02 b1f0c02 c200
        DynamicQuantizeLinear a2
        Einsum a13cfe+
        Elu a10c02
        Equal a13ffe a13ffe
        Erf a10c02
        Exp a10c02
        Expand a1fffe b80
        EyeLike a13efe
        Flatten a7fffffe
        Floor a10c02
        GRU a10c02 a10c02 a10c02 a10c02 b40 a10c02
        Gather a1fffe bc0
        GatherElements a1fffe bc0
        GatherND a1fffe b80
        Gelu a10c02
        Gemm a13cc2 a13cc2 a13cc2
        GlobalAveragePool a10c02
        GlobalLpPool a10c02
        GlobalMaxPool a10c02
        Greater a13cfe a13cfe
        GreaterOrEqual a13cfe a13cfe
        GridSample a1fffe b10c02
        GroupNormalization a10c02 a10c02 a10c02
        HammingWindow ac0
        HannWindow ac0
        HardSigmoid a10c02
        HardSwish a10c02
        Hardmax a10c02
        Identity a7fffffe
        If a200
        ImageDecoder a4
        InstanceNormalization a10c02 a10c02 a10c02
        IsInf a1f0c02
        IsNaN a1f0c02
        LRN a10c02
        LSTM a10c02 a10c02 a10c02 a10c02 b40 a10c02 a10c02 a10c02
        LayerNormalization a10c02 a10c02 a10c02
        LeakyRelu a10c02
        Less a13cfe a13cfe
        LessOrEqual a13cfe a13cfe
        LinearAttention a10402 a10402 a10402 b10402 a10402 a10402
        Log a10c02
        LogSoftmax a10c02
        Loop a80 b200 c7fffffe~
        LpNormalization a10c02
        LpPool a10c02
        MatMul a13cc2 a13cc2
        MatMulInteger ac bc ac bc
        Max a13cfe+
        MaxPool a10c0e
        MaxRoiPool a10c02 a10c02
        MaxUnpool a10c02 b80 b80
        Mean a10c02+
        MeanVarianceNormalization a10c02
        MelWeightMatrix ac0 ac0 ac0 b10c02 b10c02
        Min a13cfe+
        Mish a10c02
        Mod a13cfe a13cfe
        Mul a13cfe a13cfe
        Multinomial a10c02
        Neg a10cea
        NegativeLogLikelihoodLoss a10c02 bc0 a10c02
        NonMaxSuppression a2 a2 b80 a2 a2
        NonZero a1fffe
        Not a200
        OneHot a3cfe b3cfe c1fffe
        Optional a1ffffffe
        OptionalGetElement a1ffffffe
        OptionalHasElement a1ffffffe
        Or a200 a200
        PRelu a13cc2 a13cc2
        Pad a7fffffe b80 a7fffffe cc0
        Pow a10cc2 b13cfe
        QLinearConv ac b2 ac cc b2 cc b2 dc e40
        QLinearMatMul a1e000c b10402 a1e000c c1e000c b10402 c1e000c b10402 d1e000c
        QuantizeLinear a10442 b1010442 c1efe003c
        RMSNormalization a10c02 b10c02
        RNN a10c02 a10c02 a10c02 a10c02 b40 a10c02
        RandomNormalLike a1fffe
        RandomUniformLike a1fffe
        Range a10ce2 a10ce2 a10ce2
        Reciprocal a10c02
        ReduceL1 a13cc2 b80
        ReduceL2 a13cc2 b80
        ReduceLogSum a10c02 b80
        ReduceLogSumExp a10c02 b80
        ReduceMax a13ece b80
        ReduceMean a13cc2 b80
        ReduceMin a13ece b80
        ReduceProd a13cc2 b80
        ReduceSum a13cc2 b80
        ReduceSumSquare a13cc2 b80
        RegexFullMatch a100
        Relu a10cea
        Reshape a7fffffe b80
        Resize a1fffe bc02 c2 d80
        ReverseSequence a1fffe b80
        RoiAlign a10c02 a10c02 b80
        RotaryEmbedding a10402 a10402 a10402 b80
        Round a10c02
        STFT a10c02 bc0 a10c02 bc0
        Scan a7fffffe~
        ScatterElements a1fffe bc0 a1fffe
        ScatterND a1fffe b80 a1fffe
        Selu a10c02
        SequenceAt afffe bc0
        SequenceConstruct afffe+
        SequenceErase afffe bc0
        SequenceInsert afffe bfffe cc0
        SequenceLength afffe
        SequenceMap afffe bfffe~
        Shape a7fffffe
        Shrink a3cfe
        Sigmoid a10c02
        Sign a13cfe
        Sin a10c02
        Sinh a10c02
        Size a7fffffe
        Slice a1fffe bc0 bc0 bc0 bc0
        Softmax a10c02
        SoftmaxCrossEntropyLoss a10c02 bc0 a10c02
        Softplus a10c02
        Softsign a10c02
        SpaceToDepth a1fffe
        Split a1fffe b80
        SplitToSequence a1fffe bc0
        Sqrt a10c02
        Squeeze a7fffffe b80
        StringConcat a100 a100
        StringNormalizer a100
        StringSplit a100
        Sub a13cfe a13cfe
        Sum a10c02+
        SwiGLU a10c02 a10c02
        Swish a10c02
        Tan a10c02
        Tanh a10c02
        TensorScatter a1fffffe a1fffffe b80
        TfIdfVectorizer a1c0
        ThresholdedRelu a10c02
        Tile a1fffe b80
        TopK a13cfe b80
        Transpose a7fffffe
        Trilu a1fffe b80
        Unique a1fffe
        Unsqueeze a7fffffe b80
        Where a200 b1fffe b1fffe
        Xor a200 a200
        ai.onnx.ml.ArrayFeatureExtractor a9c2 b80
        ai.onnx.ml.Binarizer a8c2
        ai.onnx.ml.CastMap a182
        ai.onnx.ml.CategoryMapper a180
        ai.onnx.ml.DictVectorizer a982
        ai.onnx.ml.FeatureVectorizer a8c2+
        ai.onnx.ml.Imputer a8c2
        ai.onnx.ml.LabelEncoder a9e2
        ai.onnx.ml.LinearClassifier a8c2
        ai.onnx.ml.LinearRegressor a8c2
        ai.onnx.ml.Normalizer a8c2
        ai.onnx.ml.OneHotEncoder a9c2
        ai.onnx.ml.SVMClassifier a8c2
        ai.onnx.ml.SVMRegressor a8c2
        ai.onnx.ml.Scaler a8c2
        ai.onnx.ml.TreeEnsemble ac02
        ai.onnx.ml.ZipMap a2
        """
}
