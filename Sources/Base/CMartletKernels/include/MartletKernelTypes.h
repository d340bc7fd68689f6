// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Element types, instruction-set levels and the epilogue shared by gemm and convolution.
#ifndef MARTLET_KERNEL_TYPES_H
#define MARTLET_KERNEL_TYPES_H

#include <stddef.h>
#include <stdint.h>

enum { MARTLET_ALIGNMENT = 64, MARTLET_MAX_RANK = 12 };

/// Element types. Booleans are one byte, 0 or 1; f16 and bf16 are their 16-bit patterns.
typedef enum martlet_dtype {
    MARTLET_F32, MARTLET_F64, MARTLET_F16, MARTLET_BF16,
    MARTLET_I8, MARTLET_I16, MARTLET_I32, MARTLET_I64,
    MARTLET_U8, MARTLET_U16, MARTLET_U32, MARTLET_U64, MARTLET_BOOL
} martlet_dtype;

/// Bytes of one element.
int32_t martlet_dtype_bytes(martlet_dtype type);

/// Instruction-set levels, lowest first. A machine with AVX-512 also runs AVX2; NEON (with the dot
/// products of ARMv8.2) is ARM's only level; all machines run the reference.
typedef enum martlet_level {
    MARTLET_LEVEL_REFERENCE, MARTLET_LEVEL_AVX2, MARTLET_LEVEL_AVX512, MARTLET_LEVEL_NEON
} martlet_level;

/// The level in use: the machine's, lowered by MARTLET_CPU=reference|avx2|avx512|neon. Decided
/// once.
martlet_level martlet_kernels_level(void);

/// Sets the level (the machine's where it has not that one) and returns the one now in use. For
/// tests: no kernel may be running. Packed weights and scratch are the same for every level.
martlet_level martlet_kernels_force(martlet_level level);

/// Activations of an epilogue.
typedef enum martlet_activation {
    MARTLET_ACTIVATION_NONE,
    MARTLET_ACTIVATION_RELU,
    MARTLET_ACTIVATION_CLIP,        // min(max(x, minimum), maximum): relu6 is 0 and 6
    MARTLET_ACTIVATION_GELU_ERF,
    MARTLET_ACTIVATION_GELU_TANH,
    MARTLET_ACTIVATION_SILU,        // x * sigmoid(x)
    MARTLET_ACTIVATION_SIGMOID,
    MARTLET_ACTIVATION_TANH,
    MARTLET_ACTIVATION_HARD_SWISH,  // x * clip(x / 6 + 0.5, 0, 1)
    MARTLET_ACTIVATION_LEAKY_RELU,  // x < 0 ? minimum * x : x
    MARTLET_ACTIVATION_HARD_SIGMOID  // clip(minimum * x + maximum, 0, 1)
} martlet_activation;

/// What happens to a result before it is stored: activation(result + bias[column] + residual).
/// residual may be the output itself (same address and stride).
typedef struct martlet_epilogue_f32 {
    const float *bias;             // one per column (output channel), or NULL
    const float *residual;         // a value per output element, or NULL
    int64_t residual_stride;       // elements between its rows (pixels)
    martlet_activation activation;
    float minimum, maximum;        // of CLIP; minimum is the slope of LEAKY_RELU
} martlet_epilogue_f32;

#endif
