// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Narrow tiles as plain loops, compiled for the target of whoever includes this: TARGET, NAME.

TARGET MARTLET_INLINE void NAME(finish)(const martlet_tile_f32 *t, int i, const float *sums) {
    float *c = t->c + i * t->c_row_stride;
    for (int j = 0; j < t->columns; j++) {
        float x = sums[j] * t->alpha;
        if (t->accumulate) x += c[j];
        if (t->bias) x += t->bias[j];
        if (t->residual) x += t->residual[i * t->residual_stride + j];
        if (t->clip) x = x < t->low ? t->low : x > t->high ? t->high : x;
        c[j] = x;
    }
}

TARGET MARTLET_INLINE void NAME(tile_bf16)(const int rows, const martlet_tile_narrow *t) {
    float sums[4][MARTLET_PANEL] = {{0}};
    for (int64_t p = 0; p < t->groups; p++) {
        const uint32_t *b = t->b + p * MARTLET_PANEL;
        for (int i = 0; i < rows; i++) {
            uint32_t pair = t->a[i * t->a_row_stride + p];
            float low = martlet_of_bf16((uint16_t)pair);
            float high = martlet_of_bf16((uint16_t)(pair >> 16));
            for (int j = 0; j < MARTLET_PANEL; j++)
                sums[i][j] += low * martlet_of_bf16((uint16_t)b[j]) +
                              high * martlet_of_bf16((uint16_t)(b[j] >> 16));
        }
    }
    for (int i = 0; i < rows; i++) NAME(finish)(&t->f, i, sums[i]);
}

TARGET MARTLET_INLINE void NAME(tile_int8)(const int rows, const martlet_tile_narrow *t) {
    int32_t sums[4][MARTLET_PANEL];
    for (int i = 0; i < rows; i++) memcpy(sums[i], t->starts, sizeof sums[i]);
    for (int64_t p = 0; p < t->groups; p++) {
        const int8_t *b = (const int8_t *)(t->b + p * MARTLET_PANEL);
        for (int i = 0; i < rows; i++) {
            const uint8_t *a = (const uint8_t *)(t->a + i * t->a_row_stride + p);
            for (int j = 0; j < MARTLET_PANEL; j++)
                sums[i][j] += a[0] * b[4 * j] + a[1] * b[4 * j + 1] + a[2] * b[4 * j + 2] +
                              a[3] * b[4 * j + 3];
        }
    }
    for (int i = 0; i < rows; i++) {
        float scaled[MARTLET_PANEL];
        for (int j = 0; j < MARTLET_PANEL; j++)
            scaled[j] =
                (float)(sums[i][j] + (t->row_sums ? t->row_sums[i] * t->column_zeros[j] : 0)) *
                (t->row_scales[i] * t->column_scales[j]);
        NAME(finish)(&t->f, i, scaled);
    }
}

#define ROWS(N)                                                                                \
    TARGET static void NAME(bf16_##N)(const martlet_tile_narrow *t) { NAME(tile_bf16)(N, t); } \
    TARGET static void NAME(int8_##N)(const martlet_tile_narrow *t) { NAME(tile_int8)(N, t); }
ROWS(1) ROWS(2) ROWS(3) ROWS(4)
#undef ROWS

const martlet_narrow_table NAME(martlet_bf16) = {
    .tile_rows = 4,
    .tiles = {[1] = NAME(bf16_1), [2] = NAME(bf16_2), [3] = NAME(bf16_3), [4] = NAME(bf16_4)}};
const martlet_narrow_table NAME(martlet_int8) = {
    .tile_rows = 4,
    .tiles = {[1] = NAME(int8_1), [2] = NAME(int8_2), [3] = NAME(int8_3), [4] = NAME(int8_4)}};
