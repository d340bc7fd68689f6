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

/// How a product is cut into blocks of tiles of rows and of panels of columns. No two blocks differ
/// by more than one of either, and the larger ones come first: threads that take them in turns end
/// together.
typedef struct {
    int64_t tile_rows, tiles, panels;
    int64_t row_blocks, column_blocks;
} martlet_cut;

/// - rows_most: of a block; m itself or a multiple of the tile's rows.
/// - wanted: how many blocks there should be at least, where there is that much to cut.
/// - by_columns: whether panels are cut first, so that each is read by one thread alone.
MARTLET_INLINE martlet_cut martlet_cut_make(
    int64_t m, int64_t panels, int64_t tile_rows, int64_t rows_most, int64_t wanted,
    int32_t by_columns, int32_t threads) {
    martlet_cut c = {tile_rows, martlet_ceil_div(m, tile_rows), panels, 1, 1};
    if (by_columns) c.column_blocks = martlet_min(panels, wanted);
    int64_t most = rows_most >= m ? c.tiles : martlet_max(rows_most / tile_rows, 1);
    c.row_blocks = martlet_max(
        martlet_ceil_div(c.tiles, most),
        martlet_min(martlet_ceil_div(wanted, c.column_blocks), c.tiles));
    if (c.row_blocks > 1 && c.column_blocks == 1)
        c.row_blocks = martlet_min(martlet_round_up(c.row_blocks, threads), c.tiles);
    return c;
}

/// Rows of the largest block.
MARTLET_INLINE int64_t martlet_cut_rows(const martlet_cut *c, int64_t m) {
    return martlet_min(martlet_ceil_div(c->tiles, c->row_blocks) * c->tile_rows, m);
}

/// Rows [m0, m1) and columns [n0, n1) of a part out of row_blocks * column_blocks.
MARTLET_INLINE void martlet_cut_block(
    const martlet_cut *c, int32_t part, int64_t m, int64_t n, int64_t rows[2],
    int64_t columns[2]) {
    martlet_share(
        c->tiles, (int32_t)(part % c->row_blocks), (int32_t)c->row_blocks, rows, rows + 1);
    martlet_share(
        c->panels, (int32_t)(part / c->row_blocks), (int32_t)c->column_blocks, columns,
        columns + 1);
    rows[0] *= c->tile_rows;
    rows[1] = martlet_min(rows[1] * c->tile_rows, m);
    columns[0] *= MARTLET_PANEL;
    columns[1] = martlet_min(columns[1] * MARTLET_PANEL, n);
}

#endif
