// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "binary.h"
#include "table.h"
#include "walk.h"

typedef struct {
    martlet_dtype type;
    martlet_binary op;
    const char *a, *b;
    char *y;
    int64_t bytes, result_bytes, a_stride, b_stride;
} job;

static void binary_row(void *context, const int64_t *offsets, int64_t count) {
    const job *j = context;
    const char *a = j->a + offsets[1] * j->bytes, *b = j->b + offsets[2] * j->bytes;
    char *y = j->y + offsets[0] * j->result_bytes;
    if (j->type == MARTLET_F32 &&
        martlet_table()->binary(
            j->op, (const float *)a, j->a_stride, (const float *)b, j->b_stride, y, count))
        return;
    martlet_binary_row(j->type, j->op, a, j->a_stride, b, j->b_stride, y, count);
}

int32_t martlet_binary_any(
    martlet_dtype type, martlet_binary op, const void *a, const void *b, void *y, int32_t rank,
    const int64_t *shape, const int64_t *a_strides, const int64_t *b_strides, int32_t threads) {
    martlet_walk walk;
    const int64_t *strides[] = {NULL, a_strides, b_strides};
    if (!martlet_binary_knows(type, op) || martlet_walk_make(&walk, rank, shape, 3, strides) != 0)
        return -1;
    int64_t bytes = martlet_dtype_bytes(type);
    job j = {type, op, a, b, y, bytes, martlet_binary_compares(op) ? 1 : bytes,
             walk.strides[1][walk.rank - 1], walk.strides[2][walk.rank - 1]};
    martlet_walk_run(&walk, threads, binary_row, &j);
    return 0;
}

int32_t martlet_binary_any_reference(
    martlet_dtype type, martlet_binary op, const void *a, const void *b, void *y, int32_t rank,
    const int64_t *shape, const int64_t *a_strides, const int64_t *b_strides) {
    if (!martlet_binary_knows(type, op) || rank < 0 || rank > MARTLET_MAX_RANK) return -1;
    int64_t total = 1, bytes = martlet_dtype_bytes(type);
    int64_t result_bytes = martlet_binary_compares(op) ? 1 : bytes;
    for (int32_t d = 0; d < rank; d++) total *= shape[d];
    for (int64_t i = 0; i < total; i++) {
        int64_t rest = i, from_a = 0, from_b = 0;
        for (int32_t d = rank - 1; d >= 0; d--) {
            from_a += rest % shape[d] * a_strides[d];
            from_b += rest % shape[d] * b_strides[d];
            rest /= shape[d];
        }
        martlet_binary_row(
            type, op, (const char *)a + from_a * bytes, 0, (const char *)b + from_b * bytes, 0,
            (char *)y + i * result_bytes, 1);
    }
    return 0;
}
