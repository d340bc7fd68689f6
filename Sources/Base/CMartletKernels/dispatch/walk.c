// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "walk.h"

int32_t martlet_walk_make(
    martlet_walk *w, int32_t rank, const int64_t *shape, int32_t operands,
    const int64_t *const *strides) {
    if (rank < 0 || rank > MARTLET_MAX_RANK) return -1;
    int64_t dense[MARTLET_MAX_RANK], size = 1;
    for (int32_t d = rank - 1; d >= 0; d--) {
        dense[d] = size;
        size *= shape[d];
    }
    w->operands = operands;
    int32_t out = -1;
    for (int32_t d = 0; d < rank; d++) {
        if (shape[d] == 1) continue;
        int merges = out >= 0;
        for (int32_t o = 0; o < operands && merges; o++) {
            int64_t stride = strides[o] ? strides[o][d] : dense[d];
            merges = w->strides[o][out] == stride * shape[d];
        }
        if (!merges) w->shape[++out] = 1;
        w->shape[out] *= shape[d];
        for (int32_t o = 0; o < operands; o++)
            w->strides[o][out] = strides[o] ? strides[o][d] : dense[d];
    }
    if (out < 0) {
        w->shape[++out] = 1;
        for (int32_t o = 0; o < operands; o++) w->strides[o][out] = 1;
    }
    w->rank = out + 1;
    return 0;
}

typedef struct {
    const martlet_walk *walk;
    martlet_row function;
    void *context;
    int64_t rows;
} run;

static void walk_part(void *context, int32_t part, int32_t parts) {
    const run *r = context;
    const martlet_walk *w = r->walk;
    int32_t last = w->rank - 1;
    int64_t offsets[MARTLET_WALK_OPERANDS] = {0}, index[MARTLET_MAX_RANK] = {0}, from, to;
    if (r->rows == 1) {
        martlet_share(w->shape[last], part, parts, &from, &to);
        for (int32_t o = 0; o < w->operands; o++) offsets[o] = from * w->strides[o][last];
        if (to > from) r->function(r->context, offsets, to - from);
        return;
    }
    martlet_share(r->rows, part, parts, &from, &to);
    int64_t rest = from;
    for (int32_t d = last - 1; d >= 0; d--) {
        index[d] = rest % w->shape[d];
        rest /= w->shape[d];
        for (int32_t o = 0; o < w->operands; o++) offsets[o] += index[d] * w->strides[o][d];
    }
    for (int64_t row = from; row < to; row++) {
        r->function(r->context, offsets, w->shape[last]);
        for (int32_t d = last - 1; d >= 0; d--) {
            for (int32_t o = 0; o < w->operands; o++) offsets[o] += w->strides[o][d];
            if (++index[d] < w->shape[d]) break;
            for (int32_t o = 0; o < w->operands; o++)
                offsets[o] -= w->shape[d] * w->strides[o][d];
            index[d] = 0;
        }
    }
}

void martlet_walk_run(
    const martlet_walk *walk, int32_t threads, martlet_row function, void *context) {
    run r = {walk, function, context, 1};
    for (int32_t d = 0; d < walk->rank - 1; d++) r.rows *= walk->shape[d];
    int64_t inner = walk->shape[walk->rank - 1];
    if (r.rows == 0 || inner == 0) return;
    int32_t parts =
        martlet_parts(r.rows * (inner + 8), r.rows == 1 ? inner : r.rows, threads);
    martlet_parallel_for(parts, threads, walk_part, &r);
}
