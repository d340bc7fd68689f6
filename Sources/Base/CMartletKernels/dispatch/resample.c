// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "internal.h"

typedef struct {
    const float *x;
    float *y;
    int64_t outer, n, inner, m, taps;
    const int32_t *places;
    const float *weights;
} job;

/// Neighbouring results lie side by side: no division for each of them.
static void resample_lines(const job *j, int64_t from, int64_t to) {
    for (int64_t line = from; line < to; line++) {
        const float *x = j->x + line * j->n;
        float *y = j->y + line * j->m;
        if (j->taps == 2) {
            for (int64_t i = 0; i < j->m; i++)
                y[i] = j->weights[2 * i] * x[j->places[2 * i]]
                    + j->weights[2 * i + 1] * x[j->places[2 * i + 1]];
            continue;
        }
        for (int64_t i = 0; i < j->m; i++) {
            float sum = 0;
            for (int64_t t = 0; t < j->taps; t++)
                sum += j->weights[i * j->taps + t] * x[j->places[i * j->taps + t]];
            y[i] = sum;
        }
    }
}

static void resample_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    int64_t from, to;
    if (j->inner == 1) {
        martlet_share(j->outer, part, parts, &from, &to);
        resample_lines(j, from, to);
        return;
    }
    martlet_share(j->outer * j->m, part, parts, &from, &to);
    for (int64_t row = from; row < to; row++) {
        int64_t place = row % j->m;
        const float *x = j->x + row / j->m * j->n * j->inner, *w = j->weights + place * j->taps;
        const int32_t *at = j->places + place * j->taps;
        float *y = j->y + row * j->inner;
        for (int64_t t = 0; t < j->taps; t++) {
            const float *source = x + at[t] * j->inner;
            float weight = w[t];
            if (t == 0)
                for (int64_t i = 0; i < j->inner; i++) y[i] = weight * source[i];
            else
                for (int64_t i = 0; i < j->inner; i++) y[i] += weight * source[i];
        }
    }
}

void martlet_resample_f32(
    const float *x, float *y, int64_t outer, int64_t n, int64_t inner, int64_t m, int64_t taps,
    const int32_t *places, const float *weights, int32_t threads) {
    if (outer == 0 || inner == 0 || m == 0) return;
    job j = {x, y, outer, n, inner, m, taps, places, weights};
    int64_t items = inner == 1 ? outer : outer * m;
    martlet_parallel_for(
        martlet_parts(outer * m * inner * taps, items, threads), threads, resample_part, &j);
}
