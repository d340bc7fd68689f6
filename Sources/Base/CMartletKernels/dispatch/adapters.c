// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include <math.h>
#include "internal.h"
#include "MartletAdapters.h"

enum { CHUNK = 256, LANES = 16 };

MARTLET_INLINE float gate(martlet_rows_source source, float x) {
    if (source == MARTLET_ROWS_SILU) return x / (1 + expf(-x));
    if (source == MARTLET_ROWS_GELU) return 0.5f * x * (1 + erff(x * 0.70710678f));
    return 0.5f * x * (1 + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}

/// Sixteen sums side by side, added in one order: the same at every level but for FMA.
MARTLET_INLINE float dot(const float *a, const float *b, int64_t n) {
    float sums[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++) sums[lane] += a[i + lane] * b[i + lane];
    float sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/// A stretch of the row as the product sees it, but for the norm's factor.
MARTLET_INLINE void stretch(
    const martlet_adapt_args *a, const float *x, int64_t from, int64_t count, float *out) {
    if (a->source == MARTLET_ROWS_PLAIN) {
        memcpy(out, x + from, (size_t)count * sizeof(float));
    } else if (a->source == MARTLET_ROWS_NORM) {
        for (int64_t i = 0; i < count; i++) out[i] = x[from + i] * a->weight[from + i];
    } else {
        for (int64_t i = 0; i < count; i++)
            out[i] = gate(a->source, x[from + i]) * x[a->k + from + i];
    }
}

MARTLET_INLINE void adapt(
    const martlet_adapt_args *a, int64_t row, const float *down, const float *up, int64_t rank) {
    const float *x = a->x + row * a->x_stride;
    float inner[MARTLET_ADAPTER_RANK_MAX] = {0}, part[CHUNK];
    for (int64_t from = 0; from < a->k; from += CHUNK) {
        int64_t count = martlet_min(CHUNK, a->k - from);
        stretch(a, x, from, count, part);
        for (int64_t r = 0; r < rank; r++) inner[r] += dot(down + r * a->k + from, part, count);
    }
    if (a->source == MARTLET_ROWS_NORM) {
        float factor = 1 / sqrtf(dot(x, x, a->k) / (float)a->k + a->epsilon);
        for (int64_t r = 0; r < rank; r++) inner[r] *= factor;
    }
    float *y = a->y + row * a->y_stride;
    for (int64_t i = 0; i < a->m; i++) y[i] += dot(up + i * rank, inner, rank);
}

typedef void (*adapt_function)(
    const martlet_adapt_args *, int64_t, const float *, const float *, int64_t);

static void adapt_plain(
    const martlet_adapt_args *a, int64_t row, const float *down, const float *up, int64_t rank) {
    adapt(a, row, down, up, rank);
}

#if defined(MARTLET_X86)
__attribute__((target("avx2,fma"))) static void adapt_avx2(
    const martlet_adapt_args *a, int64_t row, const float *down, const float *up, int64_t rank) {
    adapt(a, row, down, up, rank);
}

__attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma"))) static void adapt_avx512(
    const martlet_adapt_args *a, int64_t row, const float *down, const float *up, int64_t rank) {
    adapt(a, row, down, up, rank);
}
#endif

static adapt_function level_function(void) {
#if defined(MARTLET_X86)
    martlet_level level = martlet_kernels_level();
    if (level >= MARTLET_LEVEL_AVX512) return adapt_avx512;
    if (level >= MARTLET_LEVEL_AVX2) return adapt_avx2;
#endif
    return adapt_plain;
}

/// An adapter's part for the module; 0 where it has none, -1 where it lies outside.
static int32_t find(
    const martlet_adapt_args *a, int32_t adapter, const float **down, const float **up,
    int64_t *rank) {
    int64_t fields[MARTLET_ADAPTER_FIELDS];
    int64_t entry = (adapter * a->modules + a->module) * (int64_t)sizeof fields;
    if (adapter >= a->adapters || entry + (int64_t)sizeof fields > a->slab_bytes) return -1;
    memcpy(fields, (const uint8_t *)a->slab + entry, sizeof fields);
    *rank = fields[2];
    if (*rank == 0) return 0;
    if (*rank < 0 || *rank > MARTLET_ADAPTER_RANK_MAX) return -1;
    int64_t size = (int64_t)sizeof(float);
    if (fields[0] < 0 || fields[0] % size || fields[1] < 0 || fields[1] % size ||
        fields[0] > a->slab_bytes - *rank * a->k * size ||
        fields[1] > a->slab_bytes - *rank * a->m * size)
        return -1;
    *down = (const float *)((const uint8_t *)a->slab + fields[0]);
    *up = (const float *)((const uint8_t *)a->slab + fields[1]);
    return 1;
}

typedef struct {
    const martlet_adapt_args *args;
    adapt_function function;
} job;

static void adapt_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    int64_t from, to;
    martlet_share(j->args->n, part, parts, &from, &to);
    for (int64_t row = from; row < to; row++) {
        if (j->args->rows[row] < 0) continue;
        const float *down, *up;
        int64_t rank;
        if (find(j->args, j->args->rows[row], &down, &up, &rank) == 1)
            j->function(j->args, row, down, up, rank);
    }
}

int32_t martlet_adapt_rows(const martlet_adapt_args *args, int32_t threads) {
    int64_t adapted = 0;
    for (int64_t row = 0; row < args->n; row++) {
        if (args->rows[row] < 0) continue;
        const float *down, *up;
        int64_t rank;
        int32_t found = find(args, args->rows[row], &down, &up, &rank);
        if (found < 0) return -1;
        adapted += found * rank;
    }
    if (adapted == 0) return 0;
    job j = {.args = args, .function = level_function()};
    if (adapted * (args->k + args->m) < (1 << 16)) threads = 1;
    martlet_parallel_for((int32_t)args->n, threads, adapt_part, &j);
    return 0;
}
