// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletTensor

/// What turns older and other forms of an operator into the canonical one.
///
/// The canonical form is that of the newest operator set: axes, sizes and limits are inputs;
/// normalisations have one output; what only training needs is gone.
enum ONNXConverters {
    typealias Converter =
        @Sendable (inout ImportedNode, inout ONNXGraphBuild) throws(GraphError) -> [ImportedNode]

    static func converter(of node: ImportedNode) -> Converter? {
        if node.domain.isEmpty { return standard[node.operatorType] }
        return microsoft[node.operatorType]
    }

    private static let standard: [String: Converter] = [
        "Constant": constant,
        "Add": statedBroadcast,
        "Sub": statedBroadcast,
        "Mul": statedBroadcast,
        "Div": statedBroadcast,
        "Pow": statedBroadcast,
        "And": statedBroadcast,
        "Or": statedBroadcast,
        "Xor": statedBroadcast,
        "Equal": equal,
        "Less": statedBroadcast,
        "Greater": statedBroadcast,
        "Gemm": gemm,
        "PRelu": pRelu,
        "Reshape": reshape,
        "Cast": cast,
        "Concat": concat,
        "Selu": selu,
        "Tile": tile,
        "LpPool": lpPool,
        "GlobalLpPool": lpPool,
        "RNN": recurrent,
        "LSTM": recurrent,
        "GRU": recurrent,
        "DFT": dft,
        "GridSample": gridSample,
        "Scan": scan,
        "Squeeze": axesToInput(before: 13),
        "Unsqueeze": axesToInput(before: 13),
        "ReduceSum": axesToInput(before: 13),
        "ReduceMean": axesToInput(before: 18),
        "ReduceProd": axesToInput(before: 18),
        "ReduceMax": axesToInput(before: 18),
        "ReduceMin": axesToInput(before: 18),
        "ReduceL1": axesToInput(before: 18),
        "ReduceL2": axesToInput(before: 18),
        "ReduceLogSum": axesToInput(before: 18),
        "ReduceLogSumExp": axesToInput(before: 18),
        "ReduceSumSquare": axesToInput(before: 18),
        "Clip": clip,
        "Dropout": dropout,
        "BatchNormalization": batchNormalization,
        "GroupNormalization": groupNormalization,
        "Slice": slice,
        "Pad": pad,
        "Split": split,
        "TopK": topK,
        "Upsample": upsample,
        "Resize": resize,
        "Softmax": flattenedAxis,
        "LogSoftmax": flattenedAxis,
        "Hardmax": flattenedAxis,
        "Scatter": scatter,
        "MaxPool": maxPool,
    ]

    private static let microsoft: [String: Converter] = [
        "Gelu": microsoftGelu,
        "FastGelu": microsoftGelu,
        "BiasGelu": microsoftGelu,
        "QuickGelu": quickGelu,
        "SkipLayerNormalization": skipLayerNormalization,
        "FusedConv": fusedConv,
        "QLinearAdd": qLinearBinary,
        "QLinearMul": qLinearBinary,
        "QGemm": qGemm,
        "DynamicQuantizeMatMul": dynamicQuantizeMatMul,
        "MatMulIntegerToFloat": matMulIntegerToFloat,
        "QLinearGlobalAveragePool": qLinearGlobalAveragePool,
        "QLinearSigmoid": qLinearUnary,
        "QLinearLeakyRelu": qLinearUnary,
        "MatMulNBits": matMulNBits,
    ]

    /// A constant of whole numbers in place of an attribute.
    static func ints(
        _ values: [Int64], _ build: inout ONNXGraphBuild, near node: ImportedNode
    ) throws(GraphError) -> String {
        do throws(TensorError) {
            return build.constant(try Tensor(values), near: node.outputs.first ?? node.name)
        } catch {
            throw GraphError(.invalidModel, error.message)
        }
    }

    /// A whole number as a scalar constant.
    static func integer(
        _ value: Int64, _ build: inout ONNXGraphBuild, near node: ImportedNode
    ) throws(GraphError) -> String {
        do throws(TensorError) {
            let tensor = try Tensor([value], shape: [])
            return build.constant(tensor, near: node.outputs.first ?? node.name)
        } catch {
            throw GraphError(.invalidModel, error.message)
        }
    }

    /// A scalar constant in place of an attribute.
    static func scalar(
        _ value: Float, _ build: inout ONNXGraphBuild, near node: ImportedNode
    ) throws(GraphError) -> String {
        do throws(TensorError) {
            let tensor = try Tensor([value], shape: [])
            return build.constant(tensor, near: node.outputs.first ?? node.name)
        } catch {
            throw GraphError(.invalidModel, error.message)
        }
    }

    static func missing(_ name: String) -> GraphError {
        GraphError(.invalidModel, "attribute '\(name)' is missing")
    }
}
