// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Panels of 16 outputs and tiles of 12 rows, both cut in groups of 32 inputs.
//
// A panel is one stream: clusters of two groups (eight for K types) of values, each followed by
// its scales, so that the processor fetches it ahead. A group of 4-bit values is 256 bytes: 4
// vectors, lane r of vector i holding output r's inputs 4i ... 4i+3 in the low nibbles, 4i+16 ...
// in the high ones. A fifth bit adds 64 bytes (bit i of a byte belongs to quad i), two more 128
// (quads 0-3, 4-7).
// A tile is its values by group and row, then for 8-bit rows a martlet_row_group for each.
#ifndef MARTLET_KERNELS_ROWS_H
#define MARTLET_KERNELS_ROWS_H

#include "table.h"

enum {
    MARTLET_ROWS_TILE = 12,
    MARTLET_ROWS_GROUP = 32,
    MARTLET_ROWS_PANEL = 16,
    MARTLET_ROWS_DEPTH = 64   // groups that all tiles go through before the next ones
};

/// Of 32 values of a row: their scale, scale * sum of the values, and where integer sums begin, for
/// all 32 or (INT8_32) for each half.
typedef struct {
    float scale, sum;
    int32_t start, high_start;
} martlet_row_group;

typedef struct {
    const uint8_t *values;            // the panel's
    const uint8_t *rows;              // the tile's
    const martlet_row_group *groups;
    int64_t from, to;                 // groups of this pass
    int32_t size;                     // rows that the tile is laid out for
    int32_t stored, columns;          // rows and columns that exist
    float *c;
    int64_t c_stride;
    int32_t first, last;              // whether c is begun or added to, and whether this ends it
    const float *bias, *residual;
    int64_t residual_stride;
    float cap;
} martlet_rows_tile;

typedef void (*martlet_rows_function)(const martlet_rows_tile *tile);

typedef struct {
    // By panel type and tile size; rows of floats first, then of BF16, then of 8 bits.
    martlet_rows_function floats[3][MARTLET_ROWS_TILE + 1];
    martlet_rows_function halves[MARTLET_ROWS_TILE + 1];
    martlet_rows_function blocks[MARTLET_WEIGHTS_COUNT][MARTLET_ROWS_TILE + 1];
    // Prepares up to 12 rows as one tile.
    void (*prepare)(const martlet_rows_args *args, int64_t from, int64_t count, void *tile);
} martlet_rows_table;

extern const martlet_rows_table martlet_rows_plain, martlet_rows_avx2, martlet_rows_avx512;
extern const martlet_rows_table martlet_rows_neon;
void martlet_rows_prepare_avx512(
    const martlet_rows_args *args, int64_t from, int64_t count, void *tile);
const martlet_rows_table *martlet_rows_level(void);

MARTLET_INLINE int64_t martlet_row_groups(int64_t k) {
    return martlet_ceil_div(k, MARTLET_ROWS_GROUP);
}

/// The size that a tile of n rows is laid out for: kernels exist for these.
MARTLET_INLINE int32_t martlet_rows_tile_size(int64_t n) {
    return n <= 4 ? (int32_t)n : n <= 6 ? 6 : n <= 8 ? 8 : MARTLET_ROWS_TILE;
}

/// Bytes of one value's group of one row, of a panel's values in a group, and of its scales.
MARTLET_INLINE int64_t martlet_rows_group_bytes(martlet_rows type) {
    return type == MARTLET_ROWS_F32 ? 128 : type == MARTLET_ROWS_BF16 ? 64 : 32;
}

MARTLET_INLINE int64_t martlet_panel_value_bytes(martlet_weights type) {
    switch (type) {
    case MARTLET_WEIGHTS_F32: return 2048;
    case MARTLET_WEIGHTS_F16: case MARTLET_WEIGHTS_BF16: return 1024;
    case MARTLET_WEIGHTS_Q4_0: case MARTLET_WEIGHTS_Q4_1: case MARTLET_WEIGHTS_Q4_K: return 256;
    case MARTLET_WEIGHTS_Q5_0: case MARTLET_WEIGHTS_Q5_1: case MARTLET_WEIGHTS_Q5_K: return 320;
    case MARTLET_WEIGHTS_Q6_K: return 384;
    default: return 512;
    }
}

/// Groups whose scales lie together.
MARTLET_INLINE int64_t martlet_panel_cluster(martlet_weights type) {
    return type <= MARTLET_WEIGHTS_BF16 ? 1 : type <= MARTLET_WEIGHTS_Q8_0 ? 2 : 8;
}

/// Bytes of a cluster's scales, whole lines.
MARTLET_INLINE int64_t martlet_panel_scale_bytes(martlet_weights type) {
    switch (type) {
    case MARTLET_WEIGHTS_Q4_0: case MARTLET_WEIGHTS_Q5_0: case MARTLET_WEIGHTS_Q8_0: return 64;
    case MARTLET_WEIGHTS_Q4_1: case MARTLET_WEIGHTS_Q5_1: return 128;
    case MARTLET_WEIGHTS_Q4_K: case MARTLET_WEIGHTS_Q5_K: case MARTLET_WEIGHTS_Q6_K: return 320;
    default: return 0;
    }
}

MARTLET_INLINE int64_t martlet_panel_cluster_bytes(martlet_weights type) {
    return martlet_panel_cluster(type) * martlet_panel_value_bytes(type) +
           martlet_panel_scale_bytes(type);
}

MARTLET_INLINE int64_t martlet_panel_bytes(martlet_weights type, int64_t groups) {
    return martlet_ceil_div(groups, martlet_panel_cluster(type)) *
           martlet_panel_cluster_bytes(type);
}

/// Where a group's values, and its cluster's scales, are in a panel.
MARTLET_INLINE int64_t martlet_panel_values_at(martlet_weights type, int64_t g) {
    int64_t cluster = martlet_panel_cluster(type);
    return g / cluster * martlet_panel_cluster_bytes(type) +
           g % cluster * martlet_panel_value_bytes(type);
}
MARTLET_INLINE int64_t martlet_panel_scales_at(martlet_weights type, int64_t g) {
    int64_t cluster = martlet_panel_cluster(type);
    return g / cluster * martlet_panel_cluster_bytes(type) +
           cluster * martlet_panel_value_bytes(type);
}

/// What 8-bit rows' sums start at: -zero times the values' sum.
MARTLET_INLINE int32_t martlet_rows_zero(martlet_rows type) {
    switch (type) {
    case MARTLET_ROWS_INT8_8: return 8;
    case MARTLET_ROWS_INT8_16: return 16;
    case MARTLET_ROWS_INT8_32: return 32;
    default: return 128;
    }
}

#endif
