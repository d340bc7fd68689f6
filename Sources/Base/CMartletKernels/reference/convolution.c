// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"

static int64_t stored(const martlet_conv2d_f32_shape *s, int64_t channel) {
    if (s->in_shuffle <= 1) return channel;
    return channel % s->in_shuffle * (s->in_channels / s->in_shuffle) + channel / s->in_shuffle;
}

void martlet_conv2d_f32_reference(
    const martlet_conv2d_f32_shape *s, const float *x, const float *weights, float *y,
    const martlet_epilogue_f32 *epilogue) {
    int64_t group_in = s->in_channels / s->groups, group_out = s->out_channels / s->groups;
    int64_t kernel = s->kernel_height * s->kernel_width;
    for (int64_t n = 0; n < s->batch; n++)
        for (int64_t oy = 0; oy < s->out_height; oy++)
            for (int64_t ox = 0; ox < s->out_width; ox++)
                for (int64_t o = 0; o < s->out_channels; o++) {
                    int64_t first = o / group_out * group_in;
                    const float *w = weights + o * group_in * kernel;
                    int64_t y0 = oy * s->stride_height - s->pad_top;
                    int64_t x0 = ox * s->stride_width - s->pad_left;
                    double sum = 0;
                    for (int64_t ky = 0; ky < s->kernel_height; ky++)
                        for (int64_t kx = 0; kx < s->kernel_width; kx++) {
                            int64_t iy = y0 + ky * s->dilation_height;
                            int64_t ix = x0 + kx * s->dilation_width;
                            if (iy < 0 || ix < 0 || iy >= s->in_height || ix >= s->in_width)
                                continue;
                            int64_t at = (n * s->in_height + iy) * s->in_width + ix;
                            const float *pixel = x + at * s->in_pixel_stride;
                            for (int64_t c = 0; c < group_in; c++)
                                sum += (double)pixel[stored(s, first + c)] *
                                       w[c * kernel + ky * s->kernel_width + kx];
                        }
                    int64_t pixel = (n * s->out_height + oy) * s->out_width + ox;
                    y[pixel * s->out_pixel_stride + o] =
                        martlet_finish(epilogue, (float)sum, pixel, o);
                }
}
