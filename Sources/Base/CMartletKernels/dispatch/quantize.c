// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "table.h"

typedef struct {
    const martlet_quantize_args *args;
    const void *x;
    void *y;
    int32_t back;
    int64_t step;             // values of a run cut into parts
} job;

static void run_of(const job *j, int64_t at, int64_t n, float scale, int32_t zero) {
    const martlet_kernel_table *table = martlet_table();
    if (j->back)
        table->dequantize(
            (const uint8_t *)j->x + at, (float *)j->y + at, n, scale, zero, j->args->is_signed);
    else
        table->quantize(
            (const float *)j->x + at, (uint8_t *)j->y + at, n, scale, (float)zero,
            j->args->is_signed);
}

static void rows_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    const martlet_quantize_args *g = j->args;
    int64_t from, to, total = g->outer * g->channels * g->inner;
    if (g->channels == 1) {
        martlet_share(total, part, parts, &from, &to);
        run_of(j, from, to - from, g->scales[0], g->zeros ? g->zeros[0] : 0);
        return;
    }
    martlet_share(g->outer * g->channels, part, parts, &from, &to);
    for (int64_t row = from; row < to; row++) {
        int64_t c = row % g->channels;
        run_of(j, row * g->inner, g->inner, g->scales[c], g->zeros ? g->zeros[c] : 0);
    }
}

static void run(const job *j, int32_t threads) {
    const martlet_quantize_args *g = j->args;
    int64_t total = g->outer * g->channels * g->inner;
    if (total <= 0) return;
    int64_t items = g->channels == 1 ? total : g->outer * g->channels;
    martlet_parallel_for(martlet_parts(total, items, threads), threads, rows_part, (void *)j);
}

void martlet_quantize_linear(
    const martlet_quantize_args *args, const float *x, void *y, int32_t threads) {
    job j = {args, x, y, 0, 0};
    run(&j, threads);
}

void martlet_dequantize_linear(
    const martlet_quantize_args *args, const void *x, float *y, int32_t threads) {
    job j = {args, x, y, 1, 0};
    run(&j, threads);
}

// --- The range of what is there

enum { PARTS_MAX = 64 };

typedef struct {
    const float *x;
    int64_t n;
    float low[PARTS_MAX], high[PARTS_MAX];
} range_job;

static void range_part(void *context, int32_t part, int32_t parts) {
    range_job *j = context;
    int64_t from, to;
    martlet_share(j->n, part, parts, &from, &to);
    martlet_table()->range(j->x + from, to - from, &j->low[part], &j->high[part]);
}

int32_t martlet_dynamic_quantize(
    const float *x, uint8_t *y, int64_t n, float *scale, int32_t *zero, int32_t threads) {
    range_job j = {.x = x, .n = n};
    int32_t parts = (int32_t)martlet_min(martlet_parts(n, n, threads), PARTS_MAX);
    martlet_parallel_for(parts, threads, range_part, &j);
    float low = 0, high = 0;
    int finite = 1;
    for (int32_t p = 0; p < parts; p++) {
        finite &= isfinite(j.low[p]) && isfinite(j.high[p]);
        low = martlet_least(low, j.low[p]);
        high = -martlet_least(-high, -j.high[p]);
    }
    if (!finite) return -1;
    *scale = high == low ? 1 : (high - low) / 255;
    float shift = rintf(-low / *scale);
    *zero = (int32_t)(shift < 0 ? 0 : shift > 255 ? 255 : shift);
    martlet_quantize_args args = {
        .outer = 1, .channels = 1, .inner = n, .scales = scale, .zeros = zero};
    if (y) martlet_quantize_linear(&args, x, y, threads);
    return 0;
}

// --- Sums and products of 8-bit values

static void binary_part(void *context, int32_t part, int32_t parts) {
    enum { BLOCK = 512 };
    const martlet_binary_int8_args *g = context;
    const martlet_kernel_table *table = martlet_table();
    float a[BLOCK], b[BLOCK];
    int64_t from, to;
    martlet_share(g->n, part, parts, &from, &to);
    for (int64_t i = from; i < to; i += BLOCK) {
        int64_t n = martlet_min(BLOCK, to - i);
        table->dequantize(
            (const uint8_t *)g->a + i, a, n, g->a_scale, g->a_zero, g->a_is_signed);
        table->dequantize(
            (const uint8_t *)g->b + i, b, n, g->b_scale, g->b_zero, g->b_is_signed);
        (void)table->binary(g->multiplies ? MARTLET_MUL : MARTLET_ADD, a, 1, b, 1, a, n);
        table->quantize(a, (uint8_t *)g->y + i, n, g->y_scale, g->y_zero, g->y_is_signed);
    }
}

void martlet_binary_int8(const martlet_binary_int8_args *args, int32_t threads) {
    if (args->n <= 0) return;
    martlet_parallel_for(
        martlet_parts(args->n, args->n, threads), threads, binary_part, (void *)args);
}
