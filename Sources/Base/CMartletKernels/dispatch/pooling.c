// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "table.h"

enum { TAPS = 64 };

typedef struct {
    const martlet_pool2d_f32_args *args;
    int average;
} pool_job;

// How many output pixels from x0's on have all their taps inside the image, as x0's has.
static int64_t run_length(const martlet_pool2d_f32_args *a, int64_t x0, int64_t ox) {
    int64_t reach = (a->kernel_width - 1) * a->dilation_width;
    if (x0 < 0 || x0 + reach >= a->in_width) return 1;
    return martlet_min((a->in_width - 1 - reach - x0) / a->stride_width + 1, a->out_width - ox);
}

// Output pixel p and those after it in its line, at most most, that have the same window; gives
// their number. Windows of more than TAPS pixels go in several steps, the result so far being one
// of the pixels.
static int64_t pool_pixels(
    const martlet_pool2d_f32_args *a, int average, int64_t p, int64_t most) {
    int64_t ox = p % a->out_width, rest = p / a->out_width;
    int64_t oy = rest % a->out_height, n = rest / a->out_height;
    int64_t y0 = oy * a->stride_height - a->pad_top, x0 = ox * a->stride_width - a->pad_left;
    const martlet_kernel_table *table = martlet_table();
    const float *pixels[TAPS];
    martlet_pool_run run = {
        .pixels = pixels, .count = 1, .x_step = a->stride_width * a->in_pixel_stride,
        .y = a->y + p * a->out_pixel_stride, .y_step = a->out_pixel_stride,
        .channels = a->channels, .average = average, .factor = 1};
    if (a->kernel_height * a->kernel_width <= TAPS)
        run.count = martlet_min(run_length(a, x0, ox), most);
    int64_t count = 0;
    for (int64_t ky = 0; ky < a->kernel_height; ky++)
        for (int64_t kx = 0; kx < a->kernel_width; kx++) {
            int64_t iy = y0 + ky * a->dilation_height, ix = x0 + kx * a->dilation_width;
            int64_t padded = iy >= -a->pad_top && iy < a->in_height + a->pad_bottom &&
                             ix >= -a->pad_left && ix < a->in_width + a->pad_right;
            int inside = iy >= 0 && iy < a->in_height && ix >= 0 && ix < a->in_width;
            count += a->count_include_pad ? padded : inside;
            if (!inside) continue;
            if (run.taps == TAPS) {
                table->pool(&run);
                pixels[0] = run.y;
                run.taps = 1;
            }
            pixels[run.taps++] =
                a->x + ((n * a->in_height + iy) * a->in_width + ix) * a->in_pixel_stride;
        }
    run.factor = count ? 1.0f / (float)count : 0;
    table->pool(&run);
    return run.count;
}

static void pool_part(void *context, int32_t part, int32_t parts) {
    const pool_job *j = context;
    int64_t from, to;
    martlet_share(
        j->args->batch * j->args->out_height * j->args->out_width, part, parts, &from, &to);
    for (int64_t p = from; p < to;) p += pool_pixels(j->args, j->average, p, to - p);
}

static void run_pool(const martlet_pool2d_f32_args *args, int average, int32_t threads) {
    pool_job j = {args, average};
    int64_t pixels = args->batch * args->out_height * args->out_width;
    int64_t effort = pixels * args->channels * args->kernel_height * args->kernel_width;
    martlet_parallel_for(martlet_parts(effort, pixels, threads), threads, pool_part, &j);
}

void martlet_max_pool2d_f32(const martlet_pool2d_f32_args *args, int32_t threads) {
    run_pool(args, 0, threads);
}

void martlet_average_pool2d_f32(const martlet_pool2d_f32_args *args, int32_t threads) {
    run_pool(args, 1, threads);
}

typedef struct {
    const float *x;
    float *y;
    int64_t batch, pixels, channels, stride, size;
    float alpha, beta, bias;
} image_job;

static void global_part(void *context, int32_t part, int32_t parts) {
    const image_job *j = context;
    int64_t from, to;
    martlet_share(j->batch, part, parts, &from, &to);
    for (int64_t n = from; n < to; n++) {
        float *y = j->y + n * j->channels;
        for (int64_t c = 0; c < j->channels; c++) y[c] = 0;
        for (int64_t p = 0; p < j->pixels; p++) {
            const float *x = j->x + (n * j->pixels + p) * j->stride;
            for (int64_t c = 0; c < j->channels; c++) y[c] += x[c];
        }
        float factor = 1.0f / (float)martlet_max(j->pixels, 1);
        for (int64_t c = 0; c < j->channels; c++) y[c] *= factor;
    }
}

void martlet_global_average_pool_f32(
    const float *x, float *y, int64_t batch, int64_t pixels, int64_t channels,
    int64_t in_pixel_stride, int32_t threads) {
    image_job j = {.x = x, .y = y, .batch = batch, .pixels = pixels, .channels = channels,
                   .stride = in_pixel_stride};
    martlet_parallel_for(
        martlet_parts(batch * pixels * channels, batch, threads), threads, global_part, &j);
}

static void lrn_part(void *context, int32_t part, int32_t parts) {
    const image_job *j = context;
    int64_t from, to, before = (j->size - 1) / 2, after = j->size / 2;
    martlet_share(j->pixels, part, parts, &from, &to);
    for (int64_t p = from; p < to; p++) {
        const float *x = j->x + p * j->channels;
        float *y = j->y + p * j->channels;
        for (int64_t c = 0; c < j->channels; c++) {
            float sum = 0;
            int64_t last = martlet_min(j->channels - 1, c + after);
            for (int64_t d = martlet_max(0, c - before); d <= last; d++) sum += x[d] * x[d];
            float base = j->bias + j->alpha / (float)j->size * sum;
            // base^-0.75, the usual exponent, needs no power function.
            float root = sqrtf(base);
            float divisor = j->beta == 0.75f ? root * sqrtf(root) : powf(base, j->beta);
            y[c] = x[c] / divisor;
        }
    }
}

void martlet_lrn_f32(
    const float *x, float *y, int64_t pixels, int64_t channels, int64_t size, float alpha,
    float beta, float bias, int32_t threads) {
    image_job j = {.x = x, .y = y, .pixels = pixels, .channels = channels, .size = size,
                   .alpha = alpha, .beta = beta, .bias = bias};
    martlet_parallel_for(
        martlet_parts(pixels * channels * size, pixels, threads), threads, lrn_part, &j);
}

void martlet_nchw_to_nhwc_f32(
    const float *x, float *y, int64_t batch, int64_t channels, int64_t pixels,
    int64_t out_pixel_stride, int32_t threads) {
    int64_t shape[] = {batch, pixels, channels};
    int64_t to[] = {pixels * out_pixel_stride, out_pixel_stride, 1};
    int64_t from[] = {channels * pixels, 1, pixels};
    martlet_copy_strided(4, y, x, 3, shape, to, from, threads);
}

void martlet_nhwc_to_nchw_f32(
    const float *x, float *y, int64_t batch, int64_t channels, int64_t pixels,
    int64_t in_pixel_stride, int32_t threads) {
    int64_t shape[] = {batch, channels, pixels};
    int64_t to[] = {channels * pixels, pixels, 1};
    int64_t from[] = {pixels * in_pixel_stride, 1, in_pixel_stride};
    martlet_copy_strided(4, y, x, 3, shape, to, from, threads);
}
