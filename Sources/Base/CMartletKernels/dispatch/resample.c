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

static void resample_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    int64_t from, to;
    martlet_share(j->outer * j->m, part, parts, &from, &to);
    for (int64_t row = from; row < to; row++) {
        int64_t place = row % j->m;
        const float *x = j->x + row / j->m * j->n * j->inner, *w = j->weights + place * j->taps;
        const int32_t *at = j->places + place * j->taps;
        float *y = j->y + row * j->inner;
        if (j->inner == 1) {
            float sum = 0;
            for (int64_t t = 0; t < j->taps; t++) sum += w[t] * x[at[t]];
            y[0] = sum;
            continue;
        }
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
    martlet_parallel_for(
        martlet_parts(outer * m * inner * taps, outer * m, threads), threads, resample_part, &j);
}
