// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "convolution.h"

static size_t slot_bytes(const martlet_conv2d_f32_shape *s) {
    return (size_t)martlet_round_up(
        s->kernel_height * s->kernel_width * 2 * (int64_t)sizeof(float *), 4096);
}

size_t martlet_conv_depthwise_scratch_bytes(const martlet_conv2d_f32_shape *s, int32_t threads) {
    return slot_bytes(s) * (size_t)martlet_pool_threads(threads);
}

// Lists the taps of output pixel (oy, ox) that lie inside the image; gives their number.
static int64_t list_taps(
    const martlet_conv *conv, int64_t n, int64_t oy, int64_t ox, const float **pixels,
    const float **weights) {
    const martlet_conv2d_f32_shape *s = conv->s;
    int64_t count = 0;
    for (int64_t ky = 0; ky < s->kernel_height; ky++) {
        int64_t iy = oy * s->stride_height + ky * s->dilation_height - s->pad_top;
        if (iy < 0 || iy >= s->in_height) continue;
        for (int64_t kx = 0; kx < s->kernel_width; kx++) {
            int64_t ix = ox * s->stride_width + kx * s->dilation_width - s->pad_left;
            if (ix < 0 || ix >= s->in_width) continue;
            pixels[count] =
                conv->x + ((n * s->in_height + iy) * s->in_width + ix) * s->in_pixel_stride;
            weights[count++] = conv->packed + (ky * s->kernel_width + kx) * s->in_channels;
        }
    }
    return count;
}

// How many output pixels from ox on have the taps of ox, moved by the stride.
static int64_t run_length(const martlet_conv2d_f32_shape *s, int64_t ox) {
    int64_t left = ox * s->stride_width - s->pad_left;
    int64_t reach = (s->kernel_width - 1) * s->dilation_width;
    if (left < 0 || left + reach >= s->in_width) return 1;
    return martlet_min(
        (s->in_width - 1 - reach - left) / s->stride_width + 1, s->out_width - ox);
}

static void depthwise_part(void *context, int32_t part, int32_t parts) {
    const martlet_conv *conv = context;
    const martlet_conv2d_f32_shape *s = conv->s;
    const martlet_epilogue_f32 *e = conv->epilogue;
    const martlet_kernel_table *table = martlet_table();
    const float **pixels =
        (const float **)(conv->scratch + (size_t)martlet_parallel_slot() * slot_bytes(s));
    const float **weights = pixels + s->kernel_height * s->kernel_width;
    martlet_tile_f32 clip;
    int after = martlet_tile_clip(e, &clip);
    martlet_depthwise_run run = {
        .pixels = pixels, .weights = weights, .x_step = s->stride_width * s->in_pixel_stride,
        .y_step = s->out_pixel_stride, .bias = e->bias, .residual_step = e->residual_stride,
        .channels = s->in_channels, .low = clip.clip ? clip.low : -INFINITY,
        .high = clip.clip ? clip.high : INFINITY};
    int64_t from, to;
    martlet_share(s->batch * s->out_height, part, parts, &from, &to);
    for (int64_t line = from; line < to; line++)
        for (int64_t ox = 0; ox < s->out_width; ox += run.count) {
            int64_t out = line * s->out_width + ox;
            run.taps = list_taps(
                conv, line / s->out_height, line % s->out_height, ox, pixels, weights);
            run.count = run_length(s, ox);
            run.y = conv->y + out * s->out_pixel_stride;
            run.residual = e->residual ? e->residual + out * e->residual_stride : NULL;
            table->depthwise(&run);
            if (after)
                table->activate(e->activation, run.y, run.count, s->in_channels, run.y_step,
                                e->minimum, e->maximum);
        }
}

void martlet_conv_depthwise(const martlet_conv *conv) {
    const martlet_conv2d_f32_shape *s = conv->s;
    int64_t lines = s->batch * s->out_height;
    int64_t effort =
        lines * s->out_width * s->out_channels * s->kernel_height * s->kernel_width / 8;
    martlet_parallel_for(
        martlet_parts(effort, lines, conv->threads), conv->threads, depthwise_part,
        (void *)conv);
}
