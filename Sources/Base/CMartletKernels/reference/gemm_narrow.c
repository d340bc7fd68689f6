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

static int32_t byte_at(const void *x, int64_t i, int32_t is_signed) {
    return is_signed ? ((const int8_t *)x)[i] : ((const uint8_t *)x)[i];
}

// A[i][p], the zero point outside an image; p is channel * taps + tap.
static int32_t left_at(const martlet_gemm_int8_args *g, int64_t i, int64_t p) {
    const martlet_conv2d_f32_shape *s = g->image;
    if (!s) return byte_at(g->a, i * g->a_row_stride + p, g->a_is_signed);
    int64_t taps = s->kernel_height * s->kernel_width, tap = p % taps;
    int64_t x = i % s->out_width * s->stride_width - s->pad_left +
                tap % s->kernel_width * s->dilation_width;
    int64_t y = i / s->out_width % s->out_height * s->stride_height - s->pad_top +
                tap / s->kernel_width * s->dilation_height;
    int64_t n = i / s->out_width / s->out_height;
    if (x < 0 || y < 0 || x >= s->in_width || y >= s->in_height) return g->a_zero;
    int64_t pixel = (n * s->in_height + y) * s->in_width + x;
    return byte_at(g->a, pixel * s->in_pixel_stride + p / taps, g->a_is_signed);
}

void martlet_gemm_int8_reference(
    const martlet_gemm_int8_args *g, const void *b, int32_t is_signed, int64_t row_stride,
    int64_t column_stride, const int32_t *zeros, int64_t zero_stride) {
    const martlet_conv2d_f32_shape *s = g->image;
    int64_t m = s ? s->batch * s->out_height * s->out_width : g->m;
    int64_t n = s ? s->out_channels : g->n;
    int64_t k = s ? s->kernel_height * s->kernel_width * s->in_channels : g->k;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            int64_t sum = 0, zero = zeros ? zeros[j * zero_stride] : 0;
            for (int64_t p = 0; p < k; p++)
                sum += (left_at(g, i, p) - g->a_zero) *
                       (byte_at(b, p * row_stride + j * column_stride, is_signed) - zero);
            double scale = (double)g->a_scale * g->b_scales[j * g->b_scale_stride];
            float x = martlet_finish(&g->epilogue, (float)((double)sum * scale), i, j);
            if (!g->narrow) {
                g->c[i * g->c_row_stride + j] = x;
                continue;
            }
            float low = g->narrow->is_signed ? -128 : 0, high = low + 255;
            x = rintf(x / g->narrow->scale) + g->narrow->zero;
            x = x > low ? x < high ? x : high : low;
            ((uint8_t *)g->narrow->y)[i * g->narrow->row_stride + j] = (uint8_t)(int32_t)x;
        }
}
