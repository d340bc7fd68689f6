// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "table.h"

typedef struct {
    const float *x;
    const int64_t *mask;
    float *y;
    int64_t rows, sequence, n;
    float epsilon;
} job;

static void mean_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    int64_t from, to;
    martlet_share(j->rows, part, parts, &from, &to);
    for (int64_t b = from; b < to; b++) {
        float *y = j->y + b * j->n;
        int64_t count = 0;
        for (int64_t i = 0; i < j->n; i++) y[i] = 0;
        for (int64_t s = 0; s < j->sequence; s++) {
            const float *x = j->x + (b * j->sequence + s) * j->n;
            if (j->mask && j->mask[b * j->sequence + s] == 0) continue;
            count++;
            for (int64_t i = 0; i < j->n; i++) y[i] += x[i];
        }
        float factor = count ? 1.0f / (float)count : 0;
        for (int64_t i = 0; i < j->n; i++) y[i] *= factor;
    }
}

void martlet_mean_pool_f32(
    const float *x, const int64_t *mask, float *y, int64_t batch, int64_t sequence, int64_t n,
    int32_t threads) {
    job j = {x, mask, y, batch, sequence, n, 0};
    martlet_parallel_for(
        martlet_parts(batch * sequence * n, batch, threads), threads, mean_part, &j);
}

static void normalize_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    int64_t from, to;
    martlet_share(j->rows, part, parts, &from, &to);
    for (int64_t r = from; r < to; r++) {
        const float *x = j->x + r * j->n;
        float length = sqrtf(martlet_dot_f32(x, x, j->n));
        float factor = 1 / fmaxf(length, j->epsilon);
        for (int64_t i = 0; i < j->n; i++) j->y[r * j->n + i] = x[i] * factor;
    }
}

void martlet_l2_normalize_f32(
    const float *x, float *y, int64_t rows, int64_t n, float epsilon, int32_t threads) {
    job j = {x, NULL, y, rows, 0, n, epsilon};
    martlet_parallel_for(martlet_parts(rows * n * 2, rows, threads), threads, normalize_part, &j);
}

float martlet_dot_f32_reference(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return (float)sum;
}

float martlet_dot_f32(const float *a, const float *b, int64_t n) {
    return martlet_table()->dot(a, b, n);
}

float martlet_cosine_f32(const float *a, const float *b, int64_t n) {
    double square = (double)martlet_dot_f32(a, a, n) * martlet_dot_f32(b, b, n);
    return square > 0 ? (float)(martlet_dot_f32(a, b, n) / sqrt(square)) : 0;
}

float martlet_distance_f32(const float *a, const float *b, int64_t n) {
    return martlet_table()->distance(a, b, n);
}

void martlet_f32_to_f16(const float *x, uint16_t *y, int64_t n) {
    martlet_table()->f32_to_f16(x, y, n);
}
void martlet_f16_to_f32(const uint16_t *x, float *y, int64_t n) {
    martlet_table()->f16_to_f32(x, y, n);
}
void martlet_f32_to_bf16(const float *x, uint16_t *y, int64_t n) {
    martlet_table()->f32_to_bf16(x, y, n);
}
void martlet_bf16_to_f32(const uint16_t *x, float *y, int64_t n) {
    martlet_table()->bf16_to_f32(x, y, n);
}
