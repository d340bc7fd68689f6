// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"
#include "../dispatch/unary.h"

#define REAL float
#define M(NAME) NAME##f
#define UNARY unary_f32
#include "unary_float.h"
#undef REAL
#undef M
#undef UNARY
#define REAL double
#define M(NAME) NAME
#define UNARY unary_f64
#include "unary_float.h"

void martlet_unary_f32_reference(
    martlet_unary op, const float *x, void *y, int64_t n, float alpha, float beta) {
    unary_f32(op, x, y, n, alpha, beta);
}

#define INTEGER(NAME, TYPE, WIDE)                                                              \
    static void NAME(martlet_unary op, const TYPE *x, TYPE *y, int64_t n, double a, double b) { \
        TYPE low = (TYPE)a, high = (TYPE)b;                                                    \
        for (int64_t i = 0; i < n; i++) {                                                      \
            TYPE v = x[i];                                                                     \
            switch (op) {                                                                      \
            case MARTLET_NEG: v = (TYPE)(0 - (WIDE)v); break;                                  \
            case MARTLET_ABS: v = v < 0 ? (TYPE)(0 - (WIDE)v) : v; break;                      \
            case MARTLET_SIGN: v = (TYPE)((v > 0) - (v < 0)); break;                           \
            case MARTLET_SQUARE: v = (TYPE)((WIDE)v * (WIDE)v); break;                         \
            case MARTLET_RELU: v = v < 0 ? 0 : v; break;                                       \
            case MARTLET_CLIP: v = v < low ? low : v > high ? high : v; break;                 \
            case MARTLET_BIT_NOT: v = (TYPE)~v; break;                                         \
            case MARTLET_NOT: v = v == 0; break;                                               \
            default: break;                                                                    \
            }                                                                                  \
            y[i] = v;                                                                          \
        }                                                                                      \
    }
_Pragma("clang diagnostic push")
_Pragma("clang diagnostic ignored \"-Wtautological-compare\"")
INTEGER(unary_i8, int8_t, uint32_t)
INTEGER(unary_i16, int16_t, uint32_t)
INTEGER(unary_i32, int32_t, uint32_t)
INTEGER(unary_i64, int64_t, uint64_t)
INTEGER(unary_u8, uint8_t, uint32_t)
INTEGER(unary_u16, uint16_t, uint32_t)
INTEGER(unary_u32, uint32_t, uint32_t)
INTEGER(unary_u64, uint64_t, uint64_t)
_Pragma("clang diagnostic pop")

static void unary_half(
    int brain, martlet_unary op, const uint16_t *x, void *y, int64_t n, float alpha, float beta) {
    enum { BLOCK = 256 };
    float values[BLOCK];
    int boolean = op == MARTLET_IS_NAN || op == MARTLET_IS_INF;
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t size = martlet_min(BLOCK, n - i);
        for (int64_t j = 0; j < size; j++)
            values[j] = brain ? martlet_of_bf16(x[i + j]) : martlet_of_f16(x[i + j]);
        unary_f32(op, values, boolean ? (void *)((uint8_t *)y + i) : values, size, alpha, beta);
        for (int64_t j = 0; j < size && !boolean; j++)
            ((uint16_t *)y)[i + j] = brain ? martlet_bf16_of(values[j]) : martlet_f16_of(values[j]);
    }
}

static int integer_knows(martlet_unary op) {
    switch (op) {
    case MARTLET_NEG: case MARTLET_ABS: case MARTLET_SIGN: case MARTLET_SQUARE: case MARTLET_RELU:
    case MARTLET_CLIP: case MARTLET_BIT_NOT: case MARTLET_FLOOR: case MARTLET_CEIL:
    case MARTLET_ROUND: case MARTLET_TRUNCATE: return 1;
    default: return 0;
    }
}

int32_t martlet_unary_knows(martlet_dtype type, martlet_unary op) {
    if ((uint32_t)op >= MARTLET_UNARY_COUNT) return 0;
    switch (type) {
    case MARTLET_F32: case MARTLET_F64: case MARTLET_F16: case MARTLET_BF16:
        return op != MARTLET_BIT_NOT;
    case MARTLET_BOOL: return op == MARTLET_NOT;
    default: return integer_knows(op);
    }
}

void martlet_unary_block(
    martlet_dtype type, martlet_unary op, const void *x, void *y, int64_t n, double a, double b) {
    switch (type) {
    case MARTLET_F32: unary_f32(op, x, y, n, (float)a, (float)b); break;
    case MARTLET_F64: unary_f64(op, x, y, n, a, b); break;
    case MARTLET_F16: unary_half(0, op, x, y, n, (float)a, (float)b); break;
    case MARTLET_BF16: unary_half(1, op, x, y, n, (float)a, (float)b); break;
    case MARTLET_I8: unary_i8(op, x, y, n, a, b); break;
    case MARTLET_I16: unary_i16(op, x, y, n, a, b); break;
    case MARTLET_I32: unary_i32(op, x, y, n, a, b); break;
    case MARTLET_I64: unary_i64(op, x, y, n, a, b); break;
    case MARTLET_U8: case MARTLET_BOOL: unary_u8(op, x, y, n, a, b); break;
    case MARTLET_U16: unary_u16(op, x, y, n, a, b); break;
    case MARTLET_U32: unary_u32(op, x, y, n, a, b); break;
    case MARTLET_U64: unary_u64(op, x, y, n, a, b); break;
    }
}
