// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Matrix products with 4-bit weights that have a scale (and zero point) for each block of K.
#ifndef MARTLET_GEMM_BLOCKS_H
#define MARTLET_GEMM_BLOCKS_H

#include "MartletGemm.h"

/// 4-bit B[k,n] as it comes: element (p, j) is nibble p * row_stride + j * column_stride of b, two
/// a byte, the low one first. Block p / block of column j has its scale at
/// scales[p / block * scale_row_stride + j * scale_column_stride], its zero point likewise.
typedef struct martlet_int4_source {
    const uint8_t *b;
    int32_t is_signed;
    int64_t row_stride, column_stride, k, n, block;
    const float *scales;
    const float *zeros;            // NULL: 0
    int64_t scale_row_stride, scale_column_stride;
} martlet_int4_source;

/// Bytes of B packed: half a byte a weight, and 8 bytes a block.
size_t martlet_gemm_int4_pack_b_bytes(int64_t k, int64_t n, int64_t block);
void martlet_gemm_int4_pack_b(
    const martlet_int4_source *source, void *packed, int32_t threads);

size_t martlet_gemm_int4_scratch_bytes(int64_t m, int64_t n, int64_t k, int32_t threads);

/// As martlet_gemm_f32, with B packed from 4 bits: weights become f32 as they are used.
void martlet_gemm_int4(
    const martlet_gemm_f32_args *args, int64_t block, void *scratch, int32_t threads);

#endif
