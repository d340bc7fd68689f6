// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The 14 x 32 register tile over 4-byte groups. Whoever includes this gives NAME, the accumulator's
// type SUM, its first value START(half), DOT(sum, a, b), ADD(a, b) and VALUE(sum, row, half).

NARROW MARTLET_INLINE void NAME(finish)(
    const martlet_tile_narrow *t, int i, SUM x, SUM y, __mmask16 mx, __mmask16 my) {
    finish_row(&t->f, i, VALUE(x, i, 0), VALUE(y, i, 1), mx, my);
}

NARROW MARTLET_INLINE void NAME(tile)(const int rows, const martlet_tile_narrow *t) {
    SUM x[14], y[14];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        x[i] = START(0);
        y[i] = START(1);
    }
    for (int i = 0; i < rows; i++) {
        const float *c = t->f.c + i * t->f.c_row_stride;
        __builtin_prefetch(c, 1);
        __builtin_prefetch(c + 16, 1);
    }
    const uint32_t *a = t->a, *b = t->b;
    int64_t stride = t->a_row_stride;
    for (int64_t p = 0; p < t->groups; p++) {
        __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 16);
        __builtin_prefetch(b + 16 * MARTLET_PANEL);
        __builtin_prefetch(b + 16 * MARTLET_PANEL + 16);
        b += MARTLET_PANEL;
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            __m512i v = _mm512_set1_epi32((int32_t)a[i * stride + p]);
            x[i] = DOT(x[i], v, b0);
            y[i] = DOT(y[i], v, b1);
        }
    }
    __mmask16 mx = lanes(t->f.columns), my = lanes(t->f.columns - 16);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) NAME(finish)(t, i, x[i], y[i], mx, my);
}

// Few rows: four chains per half row hide the latency.
NARROW MARTLET_INLINE void NAME(short_tile)(const int rows, const martlet_tile_narrow *t) {
    SUM x[3][4], y[3][4];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        for (int u = 0; u < 4; u++) {
            x[i][u] = u ? ZERO : START(0);
            y[i][u] = u ? ZERO : START(1);
        }
    const uint32_t *a = t->a, *b = t->b;
    int64_t stride = t->a_row_stride, p = 0;
    for (; p + 4 <= t->groups; p += 4) {
#pragma clang loop unroll(full)
        for (int u = 0; u < 4; u++) {
            __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 16);
            __builtin_prefetch(b + 32 * MARTLET_PANEL);
            __builtin_prefetch(b + 32 * MARTLET_PANEL + 16);
            b += MARTLET_PANEL;
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                __m512i v = _mm512_set1_epi32((int32_t)a[i * stride + p + u]);
                x[i][u] = DOT(x[i][u], v, b0);
                y[i][u] = DOT(y[i][u], v, b1);
            }
        }
    }
    for (; p < t->groups; p++, b += MARTLET_PANEL) {
        __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 16);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            __m512i v = _mm512_set1_epi32((int32_t)a[i * stride + p]);
            x[i][0] = DOT(x[i][0], v, b0);
            y[i][0] = DOT(y[i][0], v, b1);
        }
    }
    __mmask16 mx = lanes(t->f.columns), my = lanes(t->f.columns - 16);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
        NAME(finish)(
            t, i, ADD(ADD(x[i][0], x[i][1]), ADD(x[i][2], x[i][3])),
            ADD(ADD(y[i][0], y[i][1]), ADD(y[i][2], y[i][3])), mx, my);
}

#define ROWS(N, BODY)                                                                          \
    NARROW static void NAME(rows_##N)(const martlet_tile_narrow *t) { NAME(BODY)(N, t); }
ROWS(1, short_tile) ROWS(2, short_tile) ROWS(3, short_tile)
ROWS(4, tile) ROWS(5, tile) ROWS(6, tile) ROWS(7, tile) ROWS(8, tile) ROWS(9, tile)
ROWS(10, tile) ROWS(11, tile) ROWS(12, tile) ROWS(13, tile) ROWS(14, tile)
#undef ROWS

const martlet_narrow_table NAME(martlet) = {
    .tile_rows = 14,
    .tiles = {
        [1] = NAME(rows_1), [2] = NAME(rows_2), [3] = NAME(rows_3), [4] = NAME(rows_4),
        [5] = NAME(rows_5), [6] = NAME(rows_6), [7] = NAME(rows_7), [8] = NAME(rows_8),
        [9] = NAME(rows_9), [10] = NAME(rows_10), [11] = NAME(rows_11), [12] = NAME(rows_12),
        [13] = NAME(rows_13), [14] = NAME(rows_14)}};
