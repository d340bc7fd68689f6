// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension PassPipeline {
    /// What the native engine runs, in order.
    ///
    /// - Parameters:
    ///   - channelsLast: the operators whose implementation takes `layout` = "NHWC"; empty leaves
    ///     every graph channels-first.
    ///   - foldedBytesMax: the most bytes that constant folding may make.
    ///   - evaluate: computes nodes whose inputs are constants.
    public static func standard(
        channelsLast: Set<OperatorSchema>, disabled: Set<String> = [], verifies: Bool = false,
        foldedBytesMax: Int = 8 << 30, evaluate: @escaping FoldConstants.Evaluator
    ) -> PassPipeline {
        PassPipeline(
            [
                DropDeadNodes(), EliminateNoOps(), RecoverQuantizedProducts(),
                RecoverBlockProducts(),
                FoldConstants(bytesMax: foldedBytesMax, evaluate: evaluate),
                InlineConditions(), SimplifyShapes(), EliminateNoOps(), MergeCommonNodes(),
                FoldBatchNorm(), RecoverLayerNorm(), RecoverRMSNorm(), RecoverGelu(),
                RecoverSoftmax(), RecoverRotary(), RecoverAttention(), FuseMatMulEpilogue(),
                MergeProjections(), FuseConvEpilogue(), FuseEmbeddingNorm(),
                FuseSkipLayerNorm(),
                FuseRequantization(), AbsorbShuffles(),
                ConvertLayout(anchors: channelsLast), EliminateTransposes(), EliminateNoOps(),
                DropDeadNodes(),
            ], disabled: disabled, verifies: verifies)
    }
}
