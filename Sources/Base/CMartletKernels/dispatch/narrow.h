// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Tiles over 4-byte groups: two bf16 or four 8-bit values of one row or column.
#ifndef MARTLET_KERNELS_NARROW_H
#define MARTLET_KERNELS_NARROW_H

#include "table.h"

enum {
    MARTLET_NARROW_CHUNK = 2048,      // K is cut in chunks of at most this many values
    MARTLET_NARROW_ZERO = 128         // A's 8-bit values are unsigned around this
};

/// One register tile; f's a, b, k, taps and tap_offsets are not used.
typedef struct martlet_tile_narrow {
    martlet_tile_f32 f;
    const uint32_t *a;             // row i's groups start at a + i * a_row_stride
    int64_t a_row_stride;          // in groups
    const uint32_t *b;             // [groups][32]
    int64_t groups;
    const float *row_scales;       // int8: of the tile's rows and columns, and what each
    const float *column_scales;    // column's sum starts at
    const int32_t *starts;
    const int32_t *row_sums;       // int8, or NULL: row i adds row_sums[i] * column_zeros[j] to
    const int32_t *column_zeros;   // column j's sum
} martlet_tile_narrow;

typedef void (*martlet_narrow_function)(const martlet_tile_narrow *tile);

typedef struct martlet_narrow_table {
    int32_t tile_rows;
    martlet_narrow_function tiles[MARTLET_MOST_TILE_ROWS + 1];
} martlet_narrow_table;

extern const martlet_narrow_table martlet_bf16_plain, martlet_int8_plain;
extern const martlet_narrow_table martlet_bf16_avx2, martlet_int8_avx2;
extern const martlet_narrow_table martlet_bf16_avx512, martlet_int8_avx512;
extern const martlet_narrow_table martlet_bf16_neon, martlet_int8_neon;

/// The tiles for a type at the level in use.
const martlet_narrow_table *martlet_narrow_tiles(martlet_narrow type);

/// Values in a group, and groups that k values take.
MARTLET_INLINE int64_t martlet_group_values(martlet_narrow type) {
    return type == MARTLET_NARROW_BF16 ? 2 : 4;
}
MARTLET_INLINE int64_t martlet_groups(martlet_narrow type, int64_t k) {
    return martlet_ceil_div(k, martlet_group_values(type));
}

/// How packed B lies: int8's column scales and starts (for each chunk) come first.
typedef struct {
    int64_t columns, chunks, groups;
    const float *scales;
    const int32_t *starts;         // [chunk][column]
    const uint32_t *panels;        // [column / 32][groups][32]
} martlet_narrow_b;

MARTLET_INLINE martlet_narrow_b martlet_narrow_layout(
    martlet_narrow type, int64_t k, int64_t n, const void *packed) {
    martlet_narrow_b b = {.columns = martlet_round_up(n, MARTLET_PANEL)};
    b.chunks = martlet_max(martlet_ceil_div(k, MARTLET_NARROW_CHUNK), 1);
    b.groups = martlet_groups(type, k);
    int64_t head = type == MARTLET_NARROW_INT8 ? b.columns * (1 + b.chunks) : 0;
    b.scales = packed;
    b.starts = (const int32_t *)packed + b.columns;
    b.panels = (const uint32_t *)packed + head;
    return b;
}

/// What is packed: element (p, column) lies at b[p * row_stride + column * column_stride].
typedef struct {
    const void *b;                 // floats, or 8-bit values (is_bytes)
    int64_t row_stride, column_stride, k, n;
    int64_t taps, channels;        // a convolution's: p is tap * channels + channel
    int32_t is_bytes, is_signed;
    const int32_t *zeros;          // zero points of 8-bit columns: zeros[column * zero_stride]
    int64_t zero_stride;
} martlet_narrow_source;

/// Packs on at most threads threads. Of 8-bit values the layout's scales hold the columns' zero
/// points as integers, its starts their sums, both of the values made signed.
void martlet_narrow_pack(
    martlet_narrow type, const martlet_narrow_source *source, void *packed, int32_t threads);

#endif
