// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include <float.h>

#include "../dispatch/internal.h"

static void pool(const martlet_pool2d_f32_args *a, int average) {
    for (int64_t p = 0; p < a->batch * a->out_height * a->out_width; p++) {
        int64_t ox = p % a->out_width, rest = p / a->out_width;
        int64_t oy = rest % a->out_height, n = rest / a->out_height;
        int64_t y0 = oy * a->stride_height - a->pad_top, x0 = ox * a->stride_width - a->pad_left;
        for (int64_t c = 0; c < a->channels; c++) {
            float most = -FLT_MAX;
            double sum = 0;
            int64_t count = 0;
            for (int64_t ky = 0; ky < a->kernel_height; ky++)
                for (int64_t kx = 0; kx < a->kernel_width; kx++) {
                    int64_t iy = y0 + ky * a->dilation_height, ix = x0 + kx * a->dilation_width;
                    int64_t padded = iy >= -a->pad_top && iy < a->in_height + a->pad_bottom &&
                                     ix >= -a->pad_left && ix < a->in_width + a->pad_right;
                    int inside = iy >= 0 && iy < a->in_height && ix >= 0 && ix < a->in_width;
                    count += a->count_include_pad ? padded : inside;
                    if (!inside) continue;
                    float value = a->x[((n * a->in_height + iy) * a->in_width + ix) *
                                           a->in_pixel_stride + c];
                    sum += value;
                    if (value > most) most = value;
                }
            a->y[p * a->out_pixel_stride + c] =
                average ? (count ? (float)(sum / (double)count) : 0) : most;
        }
    }
}

void martlet_max_pool2d_f32_reference(const martlet_pool2d_f32_args *args) { pool(args, 0); }
void martlet_average_pool2d_f32_reference(const martlet_pool2d_f32_args *args) { pool(args, 1); }
