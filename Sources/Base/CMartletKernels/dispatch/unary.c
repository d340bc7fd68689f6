// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "table.h"
#include "unary.h"

typedef struct {
    martlet_dtype type;
    martlet_unary op;
    const char *x;
    char *y;
    int64_t n;
    double alpha, beta;
} job;

static void unary_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    int64_t from, to, bytes = martlet_dtype_bytes(j->type);
    int boolean = j->op == MARTLET_IS_NAN || j->op == MARTLET_IS_INF;
    martlet_share(j->n, part, parts, &from, &to);
    if (j->type == MARTLET_F32 &&
        martlet_table()->unary(
            j->op, (const float *)j->x + from, (float *)j->y + from, to - from, (float)j->alpha,
            (float)j->beta))
        return;
    martlet_unary_block(
        j->type, j->op, j->x + from * bytes, j->y + from * (boolean ? 1 : bytes), to - from,
        j->alpha, j->beta);
}

int32_t martlet_unary_any(
    martlet_dtype type, martlet_unary op, const void *x, void *y, int64_t n, double alpha,
    double beta, int32_t threads) {
    if (!martlet_unary_knows(type, op)) return -1;
    job j = {type, op, x, y, n, alpha, beta};
    martlet_parallel_for(martlet_parts(n * 4, n, threads), threads, unary_part, &j);
    return 0;
}

void martlet_unary_f32(
    martlet_unary op, const float *x, void *y, int64_t n, float alpha, float beta,
    int32_t threads) {
    martlet_unary_any(MARTLET_F32, op, x, y, n, alpha, beta, threads);
}
