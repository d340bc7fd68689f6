// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import CMartletKernels
internal import MartletGraph

/// What a product or convolution does to its result: activation(result + bias + residual).
struct Epilogue: BitwiseCopyable {
    var bias = Slot.none
    var residual = Slot.none
    /// Elements between the residual's rows.
    var residualStride: Int64 = 0
    var activation = MARTLET_ACTIVATION_NONE
    var minimum: Float = 0
    var maximum: Float = 0

    mutating func setActivation(_ fused: FusedActivation) {
        switch fused {
        case .none: activation = MARTLET_ACTIVATION_NONE
        case .relu: activation = MARTLET_ACTIVATION_RELU
        case .gelu: activation = MARTLET_ACTIVATION_GELU_ERF
        case .geluTanh: activation = MARTLET_ACTIVATION_GELU_TANH
        case .silu: activation = MARTLET_ACTIVATION_SILU
        case .sigmoid: activation = MARTLET_ACTIVATION_SIGMOID
        case .tanh: activation = MARTLET_ACTIVATION_TANH
        case .hardSwish: activation = MARTLET_ACTIVATION_HARD_SWISH
        case .clip(let low, let high):
            activation = MARTLET_ACTIVATION_CLIP
            minimum = low
            maximum = high
        case .leakyRelu(let slope):
            activation = MARTLET_ACTIVATION_LEAKY_RELU
            minimum = slope
        case .hardSigmoid(let alpha, let beta):
            activation = MARTLET_ACTIVATION_HARD_SIGMOID
            minimum = alpha
            maximum = beta
        }
    }

    func bound(to frame: StepFrame) -> martlet_epilogue_f32 {
        unsafe martlet_epilogue_f32(
            bias: frame.floats(bias), residual: frame.floats(residual),
            residual_stride: residualStride, activation: activation, minimum: minimum,
            maximum: maximum)
    }
}
