// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "convolution.h"

#include "product.h"

static int can_do(const martlet_conv2d_f32_shape *s, martlet_conv_algorithm algorithm) {
    int unit = s->stride_height == 1 && s->stride_width == 1;
    int dense = unit && s->groups == 1;
    if (s->in_shuffle > 1 && algorithm != MARTLET_CONV_GEMM) return 0;
    switch (algorithm) {
    case MARTLET_CONV_GEMM:
        return unit && s->in_shuffle <= MARTLET_MOST_SHUFFLE && s->kernel_height == 1 &&
               s->kernel_width == 1 && s->pad_top == 0 && s->pad_left == 0 &&
               s->out_height == s->in_height && s->out_width == s->in_width;
    case MARTLET_CONV_DIRECT: return 1;
    case MARTLET_CONV_DEPTHWISE:
        return s->groups == s->in_channels && s->groups == s->out_channels;
    case MARTLET_CONV_WINOGRAD:
    case MARTLET_CONV_WINOGRAD_LATE:
        return dense && s->kernel_height == 3 && s->kernel_width == 3 &&
               s->dilation_height == 1 && s->dilation_width == 1 && s->in_channels % 16 == 0 &&
               s->out_channels % 16 == 0;
    default: return 0;
    }
}

static int is_plain_product(const martlet_conv2d_f32_shape *s) {
    return s->groups == 1 && s->in_shuffle <= 1;
}

static martlet_conv_algorithm choose(const martlet_conv2d_f32_shape *s) {
    if (s->groups > 1 && can_do(s, MARTLET_CONV_DEPTHWISE)) return MARTLET_CONV_DEPTHWISE;
    if (can_do(s, MARTLET_CONV_GEMM)) return MARTLET_CONV_GEMM;
    int large = s->out_height >= 12 && s->out_width >= 12;
    if (large && can_do(s, MARTLET_CONV_WINOGRAD)) {
        // Many weights for one block of tiles.
        int64_t tiles =
            s->batch * martlet_ceil_div(s->out_height, 4) * martlet_ceil_div(s->out_width, 4);
        int late = tiles <= 32 && s->in_channels * s->out_channels >= 128 * 128;
        return late ? MARTLET_CONV_WINOGRAD_LATE : MARTLET_CONV_WINOGRAD;
    }
    return MARTLET_CONV_DIRECT;
}

martlet_conv2d_f32_plan martlet_conv2d_f32_make_plan(
    const martlet_conv2d_f32_shape *s, martlet_conv_algorithm algorithm, int32_t threads) {
    martlet_conv2d_f32_plan plan = {can_do(s, algorithm) ? algorithm : choose(s), 0, 0,
                                    martlet_pool_threads(threads)};
    switch (plan.algorithm) {
    case MARTLET_CONV_GEMM:
        if (!is_plain_product(s)) {
            plan.packed_bytes = martlet_conv_grouped_packed_bytes(s);
            break;
        }
        plan.packed_bytes = martlet_gemm_f32_pack_b_bytes(s->in_channels, s->out_channels);
        plan.scratch_bytes = martlet_gemm_f32_scratch_bytes(
            s->batch * s->out_height * s->out_width, s->out_channels, s->in_channels, threads);
        break;
    case MARTLET_CONV_DEPTHWISE:
        plan.packed_bytes =
            (size_t)(s->kernel_height * s->kernel_width * s->in_channels) * sizeof(float);
        plan.scratch_bytes = martlet_conv_depthwise_scratch_bytes(s, threads);
        break;
    case MARTLET_CONV_WINOGRAD:
    case MARTLET_CONV_WINOGRAD_LATE: {
        int32_t late = plan.algorithm == MARTLET_CONV_WINOGRAD_LATE;
        plan.packed_bytes = martlet_conv_winograd_packed_bytes(s, late);
        plan.scratch_bytes = martlet_conv_winograd_scratch_bytes(s, late, threads);
        break;
    }
    default:
        plan.packed_bytes = martlet_conv_direct_packed_bytes(s);
        plan.scratch_bytes = martlet_conv_direct_scratch_bytes(s, threads);
        break;
    }
    return plan;
}

void martlet_conv2d_f32_pack(
    const martlet_conv2d_f32_shape *s, martlet_conv_algorithm algorithm, const float *weights,
    void *packed) {
    int64_t kernel = s->kernel_height * s->kernel_width;
    switch (can_do(s, algorithm) ? algorithm : choose(s)) {
    case MARTLET_CONV_GEMM:
        if (is_plain_product(s))
            martlet_gemm_f32_pack_b(
                weights, 1, s->in_channels, s->in_channels, s->out_channels, packed);
        else
            martlet_conv_grouped_pack(s, weights, packed);
        break;
    case MARTLET_CONV_DEPTHWISE:
        for (int64_t c = 0; c < s->in_channels; c++)
            for (int64_t t = 0; t < kernel; t++)
                ((float *)packed)[t * s->in_channels + c] = weights[c * kernel + t];
        break;
    case MARTLET_CONV_WINOGRAD: martlet_conv_winograd_pack(s, 0, weights, packed); break;
    case MARTLET_CONV_WINOGRAD_LATE: martlet_conv_winograd_pack(s, 1, weights, packed); break;
    default: martlet_conv_direct_pack(s, weights, packed); break;
    }
}

void martlet_conv2d_f32(
    const martlet_conv2d_f32_shape *s, const martlet_conv2d_f32_plan *plan, const float *x,
    const void *packed, float *y, const martlet_epilogue_f32 *epilogue, void *scratch,
    int32_t threads) {
    if (s->batch <= 0 || s->out_height <= 0 || s->out_width <= 0 || s->out_channels <= 0) return;
    martlet_conv conv = {s, x, packed, y, epilogue, scratch,
                         (int32_t)martlet_min(martlet_pool_threads(threads), plan->threads),
                         plan->threads};
    switch (plan->algorithm) {
    case MARTLET_CONV_GEMM: {
        if (!is_plain_product(s)) {
            martlet_conv_grouped(&conv);
            break;
        }
        martlet_product p = {
            s->batch * s->out_height * s->out_width, s->out_channels, s->in_channels, x,
            s->in_pixel_stride, 1, packed, y, s->out_pixel_stride, 1, *epilogue};
        martlet_product_parallel(&p, scratch, conv.threads);
        break;
    }
    case MARTLET_CONV_DEPTHWISE: martlet_conv_depthwise(&conv); break;
    case MARTLET_CONV_WINOGRAD: martlet_conv_winograd(&conv, 0); break;
    case MARTLET_CONV_WINOGRAD_LATE: martlet_conv_winograd(&conv, 1); break;
    default: martlet_conv_direct(&conv); break;
    }
}
