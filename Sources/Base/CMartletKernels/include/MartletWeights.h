// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Weights of language models as files store them (GGUF's blocks), and in the panels that products
// read.
#ifndef MARTLET_WEIGHTS_H
#define MARTLET_WEIGHTS_H

#include "MartletKernelTypes.h"

/// How a row of weights is stored. Blocks of 32 (the first quantised ones) or 256 (K) share scales:
/// Q4_0, Q5_0 and Q8_0 are d (q - zero); Q4_1 and Q5_1 d q + m; Q4_K and Q5_K d s q - e m with a
/// six-bit s and m for each 32; Q6_K d s (q - 32) with an eight-bit s for each 16.
typedef enum martlet_weights {
    MARTLET_WEIGHTS_F32, MARTLET_WEIGHTS_F16, MARTLET_WEIGHTS_BF16,
    MARTLET_WEIGHTS_Q4_0, MARTLET_WEIGHTS_Q4_1, MARTLET_WEIGHTS_Q5_0, MARTLET_WEIGHTS_Q5_1,
    MARTLET_WEIGHTS_Q8_0, MARTLET_WEIGHTS_Q4_K, MARTLET_WEIGHTS_Q5_K, MARTLET_WEIGHTS_Q6_K,
    MARTLET_WEIGHTS_COUNT
} martlet_weights;

/// Weights a block holds (1 for plain types), and bytes it takes.
int64_t martlet_weights_block(martlet_weights type);
int64_t martlet_weights_block_bytes(martlet_weights type);

/// Bytes of a row of k weights; -1 when that is not whole blocks.
int64_t martlet_weights_row_bytes(martlet_weights type, int64_t k);

/// y = the n weights from x on, n whole blocks. Exact up to one rounding to f32.
/// Source of the formats: ggml's block definitions.
int32_t martlet_weights_decode(martlet_weights type, const void *x, float *y, int64_t n);

/// Bytes of a matrix of m rows and k columns in panels of a type; 0 when k is not whole blocks.
size_t martlet_weights_panel_bytes(martlet_weights panels, int64_t m, int64_t k);

/// Packs m rows of k weights, row_bytes apart, into panels of their own type, of F32, or (plain
/// types only) of Q8_0, which rounds. packed is zeroed where the panels are padded.
int32_t martlet_weights_pack(
    martlet_weights type, const void *rows, int64_t row_bytes, int64_t m, int64_t k,
    martlet_weights panels, void *packed, int32_t threads);

#endif
