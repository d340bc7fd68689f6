// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/narrow.h"

#if defined(MARTLET_ARM)
#include "finish.h"

// --- int8: 8 x 8 sums by SDOT

// A is unsigned around 128, SDOT wants signed values: 128 times the columns' sums make up for it.
#define STEP(LANE)                                                                             \
    {                                                                                          \
        int8x16_t b0 = vld1q_s8(b), b1 = vld1q_s8(b + 16);                                     \
        b += 4 * MARTLET_PANEL;                                                                \
        s0 = vdotq_s32(s0, b0, ones);                                                          \
        s1 = vdotq_s32(s1, b1, ones);                                                          \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < rows; i++) {                    \
            x[i] = vdotq_laneq_s32(x[i], b0, v[i], LANE);                                      \
            y[i] = vdotq_laneq_s32(y[i], b1, v[i], LANE);                                      \
        }                                                                                      \
    }

MARTLET_NEON MARTLET_INLINE float32x4_t scaled(
    const martlet_tile_narrow *t, int i, int column, int32x4_t sum) {
    if (t->row_sums)
        sum = vmlaq_n_s32(sum, vld1q_s32(t->column_zeros + column), t->row_sums[i]);
    return vmulq_f32(
        vcvtq_f32_s32(sum),
        vmulq_n_f32(vld1q_f32(t->column_scales + column), t->row_scales[i]));
}

MARTLET_NEON MARTLET_INLINE void tile_int8(const int rows, const martlet_tile_narrow *t) {
    const int8x16_t ones = vdupq_n_s8(1), flip = vdupq_n_s8(-128);
    for (int column = 0; column < t->f.columns; column += 8) {
        int32x4_t x[8], y[8], s0 = vdupq_n_s32(0), s1 = s0;
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            x[i] = vld1q_s32(t->starts + column);
            y[i] = vld1q_s32(t->starts + column + 4);
        }
        const int8_t *b = (const int8_t *)(t->b + column);
        const uint32_t *a = t->a;
        int64_t stride = t->a_row_stride, p = 0;
        for (; p + 4 <= t->groups; p += 4) {
            int8x16_t v[8];
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++)
                v[i] = veorq_s8(vreinterpretq_s8_u32(vld1q_u32(a + i * stride + p)), flip);
            STEP(0) STEP(1) STEP(2) STEP(3)
        }
        for (; p < t->groups; p++) {
            int8x16_t v[8];
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++)
                v[i] = veorq_s8(vreinterpretq_s8_u32(vdupq_n_u32(a[i * stride + p])), flip);
            STEP(0)
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++)
            finish_row(
                &t->f, i, column, scaled(t, i, column, vmlaq_n_s32(x[i], s0, 128)),
                scaled(t, i, column + 4, vmlaq_n_s32(y[i], s1, 128)));
    }
}
#undef STEP

// --- bf16: 6 x 8 sums in f32, both values of a pair widened by a shift or a mask

#define STEP(LANE)                                                                             \
    {                                                                                          \
        uint32x4_t b0 = vld1q_u32(b), b1 = vld1q_u32(b + 4);                                   \
        b += MARTLET_PANEL;                                                                    \
        float32x4_t l0 = low(b0), l1 = low(b1), h0 = high(b0), h1 = high(b1);                  \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < rows; i++) {                    \
            x[i] = vfmaq_laneq_f32(x[i], l0, first[i], LANE);                                  \
            y[i] = vfmaq_laneq_f32(y[i], l1, first[i], LANE);                                  \
            x[i] = vfmaq_laneq_f32(x[i], h0, second[i], LANE);                                 \
            y[i] = vfmaq_laneq_f32(y[i], h1, second[i], LANE);                                 \
        }                                                                                      \
    }

MARTLET_NEON MARTLET_INLINE float32x4_t low(uint32x4_t pairs) {
    return vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16));
}
MARTLET_NEON MARTLET_INLINE float32x4_t high(uint32x4_t pairs) {
    return vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000)));
}

MARTLET_NEON MARTLET_INLINE void tile_bf16(const int rows, const martlet_tile_narrow *t) {
    for (int column = 0; column < t->f.columns; column += 8) {
        float32x4_t x[6], y[6];
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) x[i] = y[i] = vdupq_n_f32(0);
        const uint32_t *a = t->a, *b = t->b + column;
        int64_t stride = t->a_row_stride, p = 0;
        for (; p + 4 <= t->groups; p += 4) {
            float32x4_t first[6], second[6];
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                uint32x4_t pairs = vld1q_u32(a + i * stride + p);
                first[i] = low(pairs);
                second[i] = high(pairs);
            }
            STEP(0) STEP(1) STEP(2) STEP(3)
        }
        for (; p < t->groups; p++) {
            float32x4_t first[6], second[6];
#pragma clang loop unroll(full)
            for (int i = 0; i < rows; i++) {
                uint32x4_t pairs = vdupq_n_u32(a[i * stride + p]);
                first[i] = low(pairs);
                second[i] = high(pairs);
            }
            STEP(0)
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) finish_row(&t->f, i, column, x[i], y[i]);
    }
}

#define INT8(N)                                                                                \
    MARTLET_NEON static void int8_##N(const martlet_tile_narrow *t) { tile_int8(N, t); }
#define BF16(N)                                                                                \
    MARTLET_NEON static void bf16_##N(const martlet_tile_narrow *t) { tile_bf16(N, t); }
INT8(1) INT8(2) INT8(3) INT8(4) INT8(5) INT8(6) INT8(7) INT8(8)
BF16(1) BF16(2) BF16(3) BF16(4) BF16(5) BF16(6)

const martlet_narrow_table martlet_int8_neon = {
    .tile_rows = 8,
    .tiles = {
        [1] = int8_1, [2] = int8_2, [3] = int8_3, [4] = int8_4, [5] = int8_5, [6] = int8_6,
        [7] = int8_7, [8] = int8_8}};
const martlet_narrow_table martlet_bf16_neon = {
    .tile_rows = 6,
    .tiles = {
        [1] = bf16_1, [2] = bf16_2, [3] = bf16_3, [4] = bf16_4, [5] = bf16_5, [6] = bf16_6}};
#endif
