// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The part of a table that vector_kernels.h provides.
    .activate = NAME(activate), .softmax_scores = NAME(softmax_scores), .scale = NAME(scale),
    .softmax_row = NAME(softmax_row), .softmax_columns = NAME(softmax_columns),
    .layer_norm = NAME(layer_norm), .rms_norm = NAME(rms_norm), .unary = NAME(unary),
    .binary = NAME(binary), .reduce = NAME(reduce), .dot = NAME(dot), .distance = NAME(distance),
    .f32_to_bf16 = NAME(f32_to_bf16), .bf16_to_f32 = NAME(bf16_to_f32),
    .depthwise = NAME(depthwise), .winograd_input = NAME(winograd_input),
    .winograd_output = NAME(winograd_output), .finish = NAME(finish), .pool = NAME(pool),
    .scale_shift = NAME(scale_shift),
    .quantize = NAME(quantize), .dequantize = NAME(dequantize), .range = NAME(range),
    .quantize_row = NAME(quantize_row), .sum_bytes = NAME(sum_bytes),
    .softmax_scores_bf16 = NAME(softmax_scores_bf16), .pairs_to_bf16 = NAME(pairs_to_bf16),
    .winograd_weights = NAME(winograd_weights), .gelu_rough = NAME(gelu_rough),
    .unpack_int4 = NAME(unpack_int4),
