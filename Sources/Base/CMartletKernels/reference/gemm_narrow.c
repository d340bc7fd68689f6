// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/narrow.h"

// The largest magnitude; NaN or infinity when there is one. As bit patterns, magnitudes compare
// like integers, with NaNs above all.
static float largest_magnitude(const float *x, int64_t n) {
    uint32_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, 4);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    float largest;
    memcpy(&largest, &most, 4);
    return largest;
}

float martlet_quantize_row(const float *x, uint8_t *y, int64_t n) {
    float largest = largest_magnitude(x, n);
    int64_t padded = martlet_round_up(n, 4), i = 0;
    if (!(largest < INFINITY)) {
        memset(y, MARTLET_NARROW_ZERO, (size_t)padded);
        return NAN;
    }
    float inverse = largest > 0 ? 127 / largest : 0;
    // Adding 1.5 * 2^23 rounds to an integer in the low bits of the sum's pattern.
    const float magic = 12582912.0f + MARTLET_NARROW_ZERO;
    for (i = 0; i < n; i++) {
        float shifted = x[i] * inverse + magic;
        uint32_t bits;
        memcpy(&bits, &shifted, 4);
        y[i] = (uint8_t)bits;
    }
    for (; i < padded; i++) y[i] = MARTLET_NARROW_ZERO;
    return largest / 127;
}

static double product_bf16(
    const martlet_gemm_f32_args *g, const martlet_narrow_b *b, int64_t i, int64_t j) {
    const uint16_t *panel = (const uint16_t *)(b->panels + j / 32 * 32 * b->groups);
    double sum = 0;
    for (int64_t p = 0; p < g->k; p++) {
        float a = martlet_of_bf16(martlet_bf16_of(g->a[i * g->a_row_stride + p]));
        sum += (double)a * martlet_of_bf16(panel[(p / 2 * 32 + j % 32) * 2 + p % 2]);
    }
    return sum;
}

static double product_int8(
    const martlet_gemm_f32_args *g, const martlet_narrow_b *b, int64_t i, int64_t j) {
    const int8_t *panel = (const int8_t *)(b->panels + j / 32 * 32 * b->groups);
    const float *a = g->a + i * g->a_row_stride;
    float most = largest_magnitude(a, g->k);
    if (!(most < INFINITY)) return NAN;
    float inverse = most > 0 ? 127 / most : 0;
    int64_t sum = 0;
    for (int64_t p = 0; p < g->k; p++)
        sum += (int64_t)rintf(a[p] * inverse) * panel[(p / 4 * 32 + j % 32) * 4 + p % 4];
    return (double)sum * (most / 127) * b->scales[j];
}

void martlet_gemm_narrow_reference(martlet_narrow type, const martlet_gemm_f32_args *g) {
    martlet_narrow_b b = martlet_narrow_layout(type, g->k, g->n, g->packed_b);
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            double sum = type == MARTLET_NARROW_BF16 ? product_bf16(g, &b, i, j)
                                                     : product_int8(g, &b, i, j);
            g->c[i * g->c_row_stride + j] =
                martlet_finish(&g->epilogue, (float)(sum * g->alpha), i, j);
        }
}
