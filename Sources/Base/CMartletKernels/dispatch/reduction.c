// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "reduction.h"
#include "table.h"

typedef struct {
    martlet_dtype type;
    martlet_reduction op;
    const char *x;
    char *y;
    int64_t outer, n, inner, bytes;
} job;

static void reduce_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    int64_t from, to;
    martlet_share(j->outer, part, parts, &from, &to);
    for (int64_t o = from; o < to; o++) {
        const char *x = j->x + o * j->n * j->inner * j->bytes;
        char *y = j->y + o * j->inner * j->bytes;
        if (j->type == MARTLET_F32 &&
            martlet_table()->reduce(j->op, (const float *)x, (float *)y, j->n, j->inner))
            continue;
        martlet_reduce_block(j->type, j->op, x, y, j->n, j->inner);
    }
}

int32_t martlet_reduce(
    martlet_dtype type, martlet_reduction op, const void *x, void *y, int64_t outer, int64_t n,
    int64_t inner, int32_t threads) {
    if (!martlet_reduce_knows(type, op)) return -1;
    job j = {type, op, x, y, outer, n, inner, martlet_dtype_bytes(type)};
    martlet_parallel_for(
        martlet_parts(outer * n * inner, outer, threads), threads, reduce_part, &j);
    return 0;
}
