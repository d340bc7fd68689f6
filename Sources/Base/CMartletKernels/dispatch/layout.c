// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "table.h"
#include "walk.h"

typedef struct { uint64_t low, high; } pair64;

typedef struct {
    int32_t bytes;
    char *to;
    const char *from;
    int64_t to_stride, from_stride;
} copy_job;

#define COPY(TYPE)                                                                             \
    {                                                                                          \
        TYPE *t = (TYPE *)to;                                                                  \
        const TYPE *f = (const TYPE *)from;                                                    \
        if (ts == 1 && fs == 0)                                                                \
            for (int64_t i = 0; i < n; i++) t[i] = f[0];                                       \
        else if (ts == 1)                                                                      \
            for (int64_t i = 0; i < n; i++) t[i] = f[i * fs];                                  \
        else if (fs == 1)                                                                      \
            for (int64_t i = 0; i < n; i++) t[i * ts] = f[i];                                  \
        else                                                                                   \
            for (int64_t i = 0; i < n; i++) t[i * ts] = f[i * fs];                             \
    }

static void copy_row(
    int32_t bytes, char *to, int64_t ts, const char *from, int64_t fs, int64_t n) {
    if (ts == 1 && fs == 1) {
        memcpy(to, from, (size_t)(n * bytes));
        return;
    }
    switch (bytes) {
    case 1: COPY(uint8_t) break;
    case 2: COPY(uint16_t) break;
    case 4: COPY(uint32_t) break;
    case 8: COPY(uint64_t) break;
    default: COPY(pair64) break;
    }
}

static void copy_walk_row(void *context, const int64_t *offsets, int64_t count) {
    const copy_job *j = context;
    copy_row(
        j->bytes, j->to + offsets[0] * j->bytes, j->to_stride, j->from + offsets[1] * j->bytes,
        j->from_stride, count);
}

static int known_width(int32_t bytes) {
    return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8 || bytes == 16;
}

// Four-byte elements whose last dimension is contiguous on one side and another dimension on the
// other: two-dimensional transpositions, in strips of up to STRIP of that other dimension.
enum { STRIP = 64 };

typedef struct {
    martlet_walk outer;     // the other dimensions
    float *to;
    const float *from;
    int64_t rows, columns, strips, from_stride, to_stride;
} flip_job;

static void flip_part(void *context, int32_t part, int32_t parts) {
    const flip_job *j = context;
    int64_t first, last, outer = 1;
    for (int32_t d = 0; d < j->outer.rank; d++) outer *= j->outer.shape[d];
    martlet_share(outer * j->strips, part, parts, &first, &last);
    for (int64_t i = first; i < last; i++) {
        int64_t column = i % j->strips * STRIP, rest = i / j->strips;
        const float *from = j->from + column;
        float *to = j->to + column * j->to_stride;
        for (int32_t d = j->outer.rank - 1; d >= 0; d--) {
            int64_t index = rest % j->outer.shape[d];
            rest /= j->outer.shape[d];
            to += index * j->outer.strides[0][d];
            from += index * j->outer.strides[1][d];
        }
        martlet_table()->transpose(
            from, j->from_stride, to, j->to_stride, j->rows,
            martlet_min(STRIP, j->columns - column));
    }
}

static int flip(const martlet_walk *w, float *to, const float *from, int32_t threads) {
    int32_t last = w->rank - 1, other = last - 1;
    if (w->rank < 2 || w->strides[0][last] != 1 || w->shape[last] < 4) return 0;
    while (other >= 0 && !(w->strides[1][other] == 1 && w->shape[other] >= 4)) other--;
    if (other < 0) return 0;
    flip_job j = {*w, to, from, w->shape[last], w->shape[other],
                  martlet_ceil_div(w->shape[other], STRIP), w->strides[1][last],
                  w->strides[0][other]};
    j.outer.rank = 0;
    int64_t items = j.strips;
    for (int32_t d = 0; d < last; d++) {
        if (d == other) continue;
        int32_t r = j.outer.rank++;
        j.outer.shape[r] = w->shape[d];
        items *= w->shape[d];
        for (int32_t o = 0; o < 2; o++) j.outer.strides[o][r] = w->strides[o][d];
    }
    martlet_parallel_for(
        martlet_parts(items * j.rows * martlet_min(STRIP, j.columns), items, threads), threads,
        flip_part, &j);
    return 1;
}

// Rows of a few elements (an image's three colours) cost a call each: the longest dimension becomes
// the row instead.
static void lengthen_rows(martlet_walk *w) {
    enum { SHORT = 8 };
    int32_t last = w->rank - 1, longest = last;
    if (w->shape[last] >= SHORT) return;
    for (int32_t d = 0; d < last; d++)
        if (w->shape[d] > w->shape[longest]) longest = d;
    int64_t size = w->shape[last];
    w->shape[last] = w->shape[longest];
    w->shape[longest] = size;
    for (int32_t o = 0; o < w->operands; o++) {
        int64_t stride = w->strides[o][last];
        w->strides[o][last] = w->strides[o][longest];
        w->strides[o][longest] = stride;
    }
}

int32_t martlet_copy_strided(
    int32_t element_bytes, void *to, const void *from, int32_t rank, const int64_t *shape,
    const int64_t *to_strides, const int64_t *from_strides, int32_t threads) {
    martlet_walk walk;
    const int64_t *strides[] = {to_strides, from_strides};
    if (!known_width(element_bytes) || martlet_walk_make(&walk, rank, shape, 2, strides) != 0)
        return -1;
    if (element_bytes == 4 && flip(&walk, to, from, threads)) return 0;
    lengthen_rows(&walk);
    copy_job j = {element_bytes, to, from, walk.strides[0][walk.rank - 1],
                  walk.strides[1][walk.rank - 1]};
    martlet_walk_run(&walk, threads, copy_walk_row, &j);
    return 0;
}

int32_t martlet_transpose(
    int32_t element_bytes, const void *x, void *y, int32_t rank, const int64_t *shape,
    const int64_t *permutation, int32_t threads) {
    if (rank < 0 || rank > MARTLET_MAX_RANK) return -1;
    int64_t dense[MARTLET_MAX_RANK], result[MARTLET_MAX_RANK], from[MARTLET_MAX_RANK], size = 1;
    uint32_t seen = 0;
    for (int32_t d = rank - 1; d >= 0; d--) {
        dense[d] = size;
        size *= shape[d];
    }
    for (int32_t d = 0; d < rank; d++) {
        if (permutation[d] < 0 || permutation[d] >= rank || (seen >> permutation[d] & 1)) return -1;
        seen |= 1u << permutation[d];
        result[d] = shape[permutation[d]];
        from[d] = dense[permutation[d]];
    }
    return martlet_copy_strided(element_bytes, y, x, rank, result, NULL, from, threads);
}

int32_t martlet_fill(int32_t element_bytes, void *y, const void *value, int64_t n) {
    if (!known_width(element_bytes)) return -1;
    copy_row(element_bytes, y, 1, value, 0, n);
    return 0;
}

typedef struct {
    const char *x;
    char *y;
    const int64_t *indices;
    int64_t count, n, bytes;
} gather_job;

static void gather_part(void *context, int32_t part, int32_t parts) {
    const gather_job *j = context;
    int64_t from, to;
    martlet_share(j->count, part, parts, &from, &to);
    for (int64_t i = from; i < to; i++) {
        int64_t index = j->indices[i];
        if (index < 0) index += j->n;
        memcpy(j->y + i * j->bytes, j->x + index * j->bytes, (size_t)j->bytes);
    }
}

int32_t martlet_gather(
    int32_t element_bytes, const void *x, void *y, const int64_t *indices, int64_t count,
    int64_t outer, int64_t n, int64_t inner, int32_t threads) {
    if (!known_width(element_bytes)) return -1;
    for (int64_t i = 0; i < count; i++)
        if (indices[i] < -n || indices[i] >= n) return -1;
    int64_t bytes = inner * element_bytes;
    for (int64_t o = 0; o < outer && bytes; o++) {
        gather_job j = {(const char *)x + o * n * bytes, (char *)y + o * count * bytes, indices,
                        count, n, bytes};
        martlet_parallel_for(
            martlet_parts(count * (inner + 8), count, threads), threads, gather_part, &j);
    }
    return 0;
}

typedef struct {
    int32_t bytes;
    const uint8_t *condition;
    const char *a, *b;
    char *y;
    int64_t condition_stride, a_stride, b_stride;
} where_job;

#define SELECT(TYPE)                                                                           \
    {                                                                                          \
        const TYPE *a = (const TYPE *)j->a + offsets[2], *b = (const TYPE *)j->b + offsets[3]; \
        TYPE *y = (TYPE *)j->y + offsets[0];                                                   \
        int64_t sc = j->condition_stride, sa = j->a_stride, sb = j->b_stride;                  \
        for (int64_t i = 0; i < n; i++) y[i] = c[i * sc] ? a[i * sa] : b[i * sb];              \
    }

static void where_row(void *context, const int64_t *offsets, int64_t n) {
    const where_job *j = context;
    const uint8_t *c = j->condition + offsets[1];
    switch (j->bytes) {
    case 1: SELECT(uint8_t) break;
    case 2: SELECT(uint16_t) break;
    case 4: SELECT(uint32_t) break;
    default: SELECT(uint64_t) break;
    }
}

int32_t martlet_where(
    int32_t element_bytes, const uint8_t *condition, const void *a, const void *b, void *y,
    int32_t rank, const int64_t *shape, const int64_t *condition_strides,
    const int64_t *a_strides, const int64_t *b_strides, int32_t threads) {
    martlet_walk walk;
    const int64_t *strides[] = {NULL, condition_strides, a_strides, b_strides};
    if (!known_width(element_bytes) || element_bytes == 16 ||
        martlet_walk_make(&walk, rank, shape, 4, strides) != 0)
        return -1;
    int32_t last = walk.rank - 1;
    where_job j = {element_bytes, condition, a, b, y, walk.strides[1][last],
                   walk.strides[2][last], walk.strides[3][last]};
    martlet_walk_run(&walk, threads, where_row, &j);
    return 0;
}
