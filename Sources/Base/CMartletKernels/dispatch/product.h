// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The blocked matrix product under gemm, matmul, convolution and attention.
#ifndef MARTLET_KERNELS_PRODUCT_H
#define MARTLET_KERNELS_PRODUCT_H

#include "table.h"

enum {
    MARTLET_BLOCK_ROWS = 168,   // a multiple of every tile's rows; A's block stays in L2
    MARTLET_BLOCK_DEPTH = 1024  // K is cut in chunks of at most this (C is read again for each)
};

typedef struct {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_column;
    const float *b;             // packed
    float *c;
    int64_t c_row;
    float alpha;
    martlet_epilogue_f32 epilogue;
} martlet_product;

/// Bytes that one thread needs to run blocks of a product.
size_t martlet_product_block_bytes(int64_t m, int64_t k);

/// Rows [m0, m1) and columns [n0, n1), n0 a multiple of 32, m1 - m0 at most MARTLET_BLOCK_ROWS.
void martlet_product_block(
    const martlet_product *p, int64_t m0, int64_t m1, int64_t n0, int64_t n1, float *scratch);

/// The whole product on the calling thread.
void martlet_product_serial(const martlet_product *p, float *scratch);

/// The whole product on up to threads threads; scratch holds block_bytes for each.
void martlet_product_parallel(const martlet_product *p, float *scratch, int32_t threads);

/// Packs one panel: k rows of up to 32 columns.
void martlet_pack_panel(
    const float *b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t columns,
    float *to);

#endif
