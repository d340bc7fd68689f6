// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "narrow_product.h"

size_t martlet_gemm_int8_pack_b_bytes(int64_t k, int64_t n) {
    return martlet_gemm_narrow_pack_b_bytes(MARTLET_NARROW_INT8, k, n);
}

void martlet_gemm_int8_pack_b(
    const void *b, int32_t is_signed, int64_t row_stride, int64_t column_stride, int64_t k,
    int64_t n, const int32_t *zeros, int64_t zero_stride, void *packed, int32_t threads) {
    martlet_narrow_source source = {
        .b = b, .row_stride = row_stride, .column_stride = column_stride, .k = k, .n = n,
        .is_bytes = 1, .is_signed = is_signed, .zeros = zeros, .zero_stride = zero_stride};
    martlet_narrow_pack(MARTLET_NARROW_INT8, &source, packed, threads);
}

void martlet_conv2d_int8_pack(
    const martlet_conv2d_f32_shape *s, const void *weights, int32_t is_signed,
    const int32_t *zeros, int64_t zero_stride, void *packed, int32_t threads) {
    int64_t taps = s->kernel_height * s->kernel_width;
    martlet_narrow_source source = {
        .b = weights, .row_stride = 1, .column_stride = taps * s->in_channels,
        .k = taps * s->in_channels, .n = s->out_channels, .taps = taps,
        .channels = s->in_channels, .is_bytes = 1, .is_signed = is_signed, .zeros = zeros,
        .zero_stride = zero_stride};
    martlet_narrow_pack(MARTLET_NARROW_INT8, &source, packed, threads);
}

// What the columns' sums start at and their scales, which follow from A's zero point.
static size_t head_bytes(int64_t n, int64_t k) {
    martlet_narrow_b b = martlet_narrow_layout(MARTLET_NARROW_INT8, k, n, NULL);
    return (size_t)martlet_round_up(b.columns * (1 + b.chunks) * 4, 4096);
}

size_t martlet_gemm_int8_scratch_bytes(
    int64_t m, int64_t n, int64_t k, int32_t narrow, int32_t threads) {
    return head_bytes(n, k) +
           martlet_narrow_product_scratch_bytes(MARTLET_NARROW_INT8, m, k, 1, narrow, threads);
}

void martlet_gemm_int8(const martlet_gemm_int8_args *g, void *scratch, int32_t threads) {
    martlet_narrow_product p = {
        .m = g->m, .n = g->n,
        .left = {.convert = martlet_left_bytes, .type = MARTLET_NARROW_INT8, .k = g->k,
                 .x = g->a, .row_stride = g->a_row_stride, .value_bytes = 1,
                 .scale = g->a_scale, .zero = g->a_zero, .is_signed = g->a_is_signed},
        .c = g->c, .c_row_stride = g->c_row_stride, .alpha = 1, .epilogue = g->epilogue,
        .narrow = g->narrow};
    if (g->image) {
        const martlet_conv2d_f32_shape *s = g->image;
        p.m = s->batch * s->out_height * s->out_width;
        p.n = s->out_channels;
        p.left.k = s->kernel_height * s->kernel_width * s->in_channels;
        p.left.convert = martlet_left_pixels;
        p.left.image = s;
    }
    if (p.m <= 0 || p.n <= 0) return;
    martlet_narrow_b packed =
        martlet_narrow_layout(MARTLET_NARROW_INT8, p.left.k, p.n, g->packed_b);
    int32_t zero = g->a_zero + (g->a_is_signed ? 128 : 0);
    float *scales = scratch;
    int32_t *starts = (int32_t *)scratch + packed.columns;
    const int32_t *zeros = (const int32_t *)packed.scales;
    for (int64_t n = 0; n < packed.columns; n++) {
        scales[n] = n < p.n ? g->b_scales[n * g->b_scale_stride] : 0;
        if (n < p.n && zeros[n] != 0) p.zeros = zeros;
    }
    for (int64_t i = 0; i < packed.columns * packed.chunks; i++)
        starts[i] = -zero * packed.starts[i];
    p.b = packed;
    p.b.scales = scales;
    p.b.starts = starts;
    p.left.wants_sums = p.zeros != NULL;
    martlet_narrow_product_run(&p, (char *)scratch + head_bytes(p.n, p.left.k), threads);
}
