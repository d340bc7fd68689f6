// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "internal.h"

enum { BLOCK = 256 };

typedef struct {
    martlet_dtype from, to;
    const void *x;
    void *y;
    int64_t n;
} job;

static int is_floating(martlet_dtype type) { return type <= MARTLET_BF16; }

#define LOAD(TYPE, EXPRESSION)                                                                 \
    for (int64_t i = 0; i < n; i++) {                                                          \
        TYPE v = ((const TYPE *)x)[i];                                                         \
        out[i] = (EXPRESSION);                                                                 \
    }                                                                                          \
    break;
static void load_floating(martlet_dtype type, const void *x, double *out, int64_t n) {
    switch (type) {
    case MARTLET_F32: LOAD(float, v)
    case MARTLET_F64: LOAD(double, v)
    case MARTLET_F16: LOAD(uint16_t, martlet_of_f16(v))
    default: LOAD(uint16_t, martlet_of_bf16(v))
    }
}
static void load_integer(martlet_dtype type, const void *x, int64_t *out, int64_t n) {
    switch (type) {
    case MARTLET_I8: LOAD(int8_t, v)
    case MARTLET_I16: LOAD(int16_t, v)
    case MARTLET_I32: LOAD(int32_t, v)
    case MARTLET_I64: LOAD(int64_t, v)
    case MARTLET_U16: LOAD(uint16_t, v)
    case MARTLET_U32: LOAD(uint32_t, v)
    case MARTLET_U64: LOAD(uint64_t, (int64_t)v)
    case MARTLET_BOOL: LOAD(uint8_t, v != 0)
    default: LOAD(uint8_t, v)
    }
}

#define STORE(TYPE, EXPRESSION)                                                                \
    for (int64_t i = 0; i < n; i++) ((TYPE *)y)[i] = (TYPE)(EXPRESSION);                       \
    break;
// A range test that NaN fails on both sides; the upper bound is the first value too large.
#define SATURATE(TYPE, LOW, HIGH, LIMIT)                                                       \
    STORE(TYPE, x[i] >= (double)LIMIT ? HIGH : x[i] >= (double)LOW ? (TYPE)x[i]                \
                                             : x[i] < (double)LOW  ? LOW : 0)
static void store_floating(martlet_dtype type, const double *x, void *y, int64_t n) {
    switch (type) {
    case MARTLET_F32: STORE(float, x[i])
    case MARTLET_F64: STORE(double, x[i])
    case MARTLET_F16: STORE(uint16_t, martlet_f16_of((float)x[i]))
    case MARTLET_BF16: STORE(uint16_t, martlet_bf16_of((float)x[i]))
    case MARTLET_I8: SATURATE(int8_t, INT8_MIN, INT8_MAX, 0x1p7)
    case MARTLET_I16: SATURATE(int16_t, INT16_MIN, INT16_MAX, 0x1p15)
    case MARTLET_I32: SATURATE(int32_t, INT32_MIN, INT32_MAX, 0x1p31)
    case MARTLET_I64: SATURATE(int64_t, INT64_MIN, INT64_MAX, 0x1p63)
    case MARTLET_U8: SATURATE(uint8_t, 0, UINT8_MAX, 0x1p8)
    case MARTLET_U16: SATURATE(uint16_t, 0, UINT16_MAX, 0x1p16)
    case MARTLET_U32: SATURATE(uint32_t, 0, UINT32_MAX, 0x1p32)
    case MARTLET_U64: SATURATE(uint64_t, 0, UINT64_MAX, 0x1p64)
    case MARTLET_BOOL: STORE(uint8_t, x[i] != 0)
    }
}
static void store_integer(martlet_dtype type, int large, const int64_t *x, void *y, int64_t n) {
    switch (type) {
    case MARTLET_F32: STORE(float, large ? (float)(uint64_t)x[i] : (float)x[i])
    case MARTLET_F64: STORE(double, large ? (double)(uint64_t)x[i] : (double)x[i])
    case MARTLET_F16:
        STORE(uint16_t, martlet_f16_of(large ? (float)(uint64_t)x[i] : (float)x[i]))
    case MARTLET_BF16:
        STORE(uint16_t, martlet_bf16_of(large ? (float)(uint64_t)x[i] : (float)x[i]))
    case MARTLET_I8: case MARTLET_U8: STORE(uint8_t, x[i])
    case MARTLET_I16: case MARTLET_U16: STORE(uint16_t, x[i])
    case MARTLET_I32: case MARTLET_U32: STORE(uint32_t, x[i])
    case MARTLET_I64: case MARTLET_U64: STORE(uint64_t, x[i])
    case MARTLET_BOOL: STORE(uint8_t, x[i] != 0)
    }
}

static void cast_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    int64_t from, to, in = martlet_dtype_bytes(j->from), out = martlet_dtype_bytes(j->to);
    martlet_share(j->n, part, parts, &from, &to);
    const char *x = (const char *)j->x + from * in;
    char *y = (char *)j->y + from * out;
    int64_t n = to - from;
    if (j->from == j->to) memmove(y, x, (size_t)(n * in));
    else if (j->from == MARTLET_F32 && j->to == MARTLET_F16)
        martlet_f32_to_f16((const float *)x, (uint16_t *)y, n);
    else if (j->from == MARTLET_F32 && j->to == MARTLET_BF16)
        martlet_f32_to_bf16((const float *)x, (uint16_t *)y, n);
    else if (j->from == MARTLET_F16 && j->to == MARTLET_F32)
        martlet_f16_to_f32((const uint16_t *)x, (float *)y, n);
    else if (j->from == MARTLET_BF16 && j->to == MARTLET_F32)
        martlet_bf16_to_f32((const uint16_t *)x, (float *)y, n);
    else
        for (int64_t i = 0; i < n; i += BLOCK) {
            int64_t size = martlet_min(BLOCK, n - i);
            double real[BLOCK];
            int64_t whole[BLOCK];
            if (is_floating(j->from)) {
                load_floating(j->from, x + i * in, real, size);
                store_floating(j->to, real, y + i * out, size);
            } else {
                load_integer(j->from, x + i * in, whole, size);
                store_integer(j->to, j->from == MARTLET_U64, whole, y + i * out, size);
            }
        }
}

int32_t martlet_cast(
    martlet_dtype from, martlet_dtype to, const void *x, void *y, int64_t n, int32_t threads) {
    if ((uint32_t)from > MARTLET_BOOL || (uint32_t)to > MARTLET_BOOL) return -1;
    job j = {from, to, x, y, n};
    martlet_parallel_for(martlet_parts(n, n, threads), threads, cast_part, &j);
    return 0;
}
