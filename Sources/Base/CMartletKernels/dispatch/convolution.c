// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "internal.h"

martlet_conv2d_f32_plan martlet_conv2d_f32_make_plan(
    const martlet_conv2d_f32_shape *s, martlet_conv_algorithm algorithm, int32_t threads) {
    (void)algorithm, (void)threads;
    martlet_conv2d_f32_plan plan = {MARTLET_CONV_DIRECT, 0, 64};
    plan.packed_bytes = sizeof(float) * (size_t)(s->out_channels * (s->in_channels / s->groups) *
                                                 s->kernel_height * s->kernel_width);
    return plan;
}

void martlet_conv2d_f32_pack(
    const martlet_conv2d_f32_shape *shape, martlet_conv_algorithm algorithm, const float *weights,
    void *packed) {
    memcpy(packed, weights, martlet_conv2d_f32_make_plan(shape, algorithm, 1).packed_bytes);
}

void martlet_conv2d_f32(
    const martlet_conv2d_f32_shape *shape, const martlet_conv2d_f32_plan *plan, const float *x,
    const void *packed, float *y, const martlet_epilogue_f32 *epilogue, void *scratch,
    int32_t threads) {
    (void)plan, (void)scratch, (void)threads;
    martlet_conv2d_f32_reference(shape, x, packed, y, epilogue);
}
