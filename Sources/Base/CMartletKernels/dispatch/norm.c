// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "table.h"

typedef struct {
    const martlet_norm_f32_args *args;
    void (*function)(const martlet_norm_f32_args *args);
} norm_job;

static void norm_part(void *context, int32_t part, int32_t parts) {
    const norm_job *j = context;
    martlet_norm_f32_args a = *j->args;
    int64_t from, to;
    martlet_share(a.rows, part, parts, &from, &to);
    a.rows = to - from;
    a.x += from * a.x_row_stride;
    a.y += from * a.y_row_stride;
    if (a.residual) a.residual += from * a.residual_row_stride;
    if (a.sum) a.sum += from * a.sum_row_stride;
    if (a.mean) a.mean += from;
    if (a.inverse) a.inverse += from;
    j->function(&a);
}

static void run_norm(
    const martlet_norm_f32_args *args, void (*function)(const martlet_norm_f32_args *),
    int32_t threads) {
    norm_job j = {args, function};
    martlet_parallel_for(
        martlet_parts(args->rows * args->n * 2, args->rows, threads), threads, norm_part, &j);
}

void martlet_layer_norm_f32(const martlet_norm_f32_args *args, int32_t threads) {
    run_norm(args, martlet_table()->layer_norm, threads);
}

void martlet_rms_norm_f32(const martlet_norm_f32_args *args, int32_t threads) {
    run_norm(args, martlet_table()->rms_norm, threads);
}

typedef struct {
    const float *x;
    float *y;
    int64_t outer, n, inner;
    int32_t logarithm;
} softmax_job;

static void softmax_part(void *context, int32_t part, int32_t parts) {
    const softmax_job *j = context;
    const martlet_kernel_table *table = martlet_table();
    int64_t from, to, size = j->n * j->inner;
    martlet_share(j->outer, part, parts, &from, &to);
    for (int64_t o = from; o < to; o++) {
        const float *x = j->x + o * size;
        float *y = j->y + o * size;
        if (j->inner == 1)
            table->softmax_row(x, y, j->n, j->logarithm);
        else
            table->softmax_columns(x, y, j->n, j->inner, j->inner, j->logarithm);
    }
}

void martlet_softmax_f32(
    const float *x, float *y, int64_t outer, int64_t n, int64_t inner, int32_t logarithm,
    int32_t threads) {
    if (n <= 0 || inner <= 0) return;
    softmax_job j = {x, y, outer, n, inner, logarithm};
    martlet_parallel_for(
        martlet_parts(outer * n * inner * 4, outer, threads), threads, softmax_part, &j);
}

typedef struct {
    const float *x, *scale, *shift;
    float *y;
    int64_t outer, channels, inner;
    martlet_activation activation;
    float minimum, maximum;
} scale_job;

static void scale_part(void *context, int32_t part, int32_t parts) {
    const scale_job *j = context;
    int64_t from, to;
    if (j->inner == 1) {
        martlet_share(j->outer, part, parts, &from, &to);
        for (int64_t r = from; r < to; r++)
            martlet_table()->scale_shift(
                j->x + r * j->channels, j->scale, j->shift, j->y + r * j->channels, j->channels,
                j->activation, j->minimum, j->maximum);
        return;
    }
    martlet_share(j->outer * j->channels, part, parts, &from, &to);
    for (int64_t r = from; r < to; r++) {
        float scale = j->scale[r % j->channels], shift = j->shift[r % j->channels];
        const float *x = j->x + r * j->inner;
        float *y = j->y + r * j->inner;
        for (int64_t i = 0; i < j->inner; i++) y[i] = x[i] * scale + shift;
        if (j->activation == MARTLET_ACTIVATION_NONE) continue;
        martlet_table()->activate(
            j->activation, y, 1, j->inner, j->inner, j->minimum, j->maximum);
    }
}

void martlet_scale_shift_f32(
    const float *x, float *y, const float *scale, const float *shift, int64_t outer,
    int64_t channels, int64_t inner, martlet_activation activation, float minimum, float maximum,
    int32_t threads) {
    scale_job j = {x, scale, shift, y, outer, channels, inner, activation, minimum, maximum};
    martlet_parallel_for(
        martlet_parts(
            outer * channels * inner, inner == 1 ? outer : outer * channels, threads),
        threads, scale_part, &j);
}

typedef struct {
    const float *x, *gamma, *beta;
    float *y;
    int64_t rows, n, channels_per_row, channels;
    float epsilon;
} group_job;

static void group_part(void *context, int32_t part, int32_t parts) {
    const group_job *j = context;
    int64_t from, to, each = j->channels_per_row ? j->n / j->channels_per_row : 0;
    martlet_share(j->rows, part, parts, &from, &to);
    for (int64_t r = from; r < to; r++) {
        martlet_norm_f32_args a = {
            .x = j->x + r * j->n, .y = j->y + r * j->n, .rows = 1, .n = j->n,
            .epsilon = j->epsilon};
        martlet_layer_norm_f32(&a, 1);
        for (int64_t c = 0; c < j->channels_per_row; c++) {
            int64_t channel = (r * j->channels_per_row + c) % j->channels;
            float scale = j->gamma ? j->gamma[channel] : 1, shift = j->beta ? j->beta[channel] : 0;
            float *y = a.y + c * each;
            for (int64_t i = 0; i < each; i++) y[i] = y[i] * scale + shift;
        }
    }
}

void martlet_group_norm_f32(
    const float *x, float *y, const float *gamma, const float *beta, int64_t rows, int64_t n,
    int64_t channels_per_row, int64_t channels, float epsilon, int32_t threads) {
    group_job j = {x, gamma, beta, y, rows, n, channels_per_row, channels, epsilon};
    martlet_parallel_for(martlet_parts(rows * n * 2, rows, threads), threads, group_part, &j);
}
