// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/reduction.h"

#define FLOATING(NAME, TYPE)                                                                   \
    static void NAME(martlet_reduction op, const TYPE *x, TYPE *y, int64_t n, int64_t inner) { \
        for (int64_t i = 0; i < inner; i++) {                                                  \
            const TYPE *v = x + i;                                                             \
            double r = op == MARTLET_REDUCE_PROD ? 1                                           \
                       : op == MARTLET_REDUCE_MAX || op == MARTLET_REDUCE_LOG_SUM_EXP          \
                           ? -(double)INFINITY                                                 \
                       : op == MARTLET_REDUCE_MIN ? (double)INFINITY : 0;                      \
            for (int64_t j = 0; j < n; j++) {                                                  \
                double u = v[j * inner];                                                       \
                switch (op) {                                                                  \
                case MARTLET_REDUCE_MAX: case MARTLET_REDUCE_LOG_SUM_EXP:                      \
                    r = r > u || r != r ? r : u;                                               \
                    break;                                                                     \
                case MARTLET_REDUCE_MIN: r = r < u || r != r ? r : u; break;                   \
                case MARTLET_REDUCE_PROD: r *= u; break;                                       \
                case MARTLET_REDUCE_L1: r += fabs(u); break;                                   \
                case MARTLET_REDUCE_L2: case MARTLET_REDUCE_SUM_SQUARE: r += u * u; break;     \
                default: r += u; break;                                                        \
                }                                                                              \
            }                                                                                  \
            if (op == MARTLET_REDUCE_MEAN && n) r /= (double)n;                                \
            if (op == MARTLET_REDUCE_L2) r = sqrt(r);                                          \
            if (op == MARTLET_REDUCE_LOG_SUM) r = log(r);                                      \
            if (op == MARTLET_REDUCE_LOG_SUM_EXP && fabs(r) < (double)INFINITY) {              \
                double total = 0;                                                              \
                for (int64_t j = 0; j < n; j++) total += exp(v[j * inner] - r);                \
                r += log(total);                                                               \
            }                                                                                  \
            y[i] = (TYPE)r;                                                                    \
        }                                                                                      \
    }
FLOATING(reduce_f32, float)
FLOATING(reduce_f64, double)

#define INTEGER(NAME, TYPE, LOWEST, HIGHEST)                                                   \
    static void NAME(martlet_reduction op, const TYPE *x, TYPE *y, int64_t n, int64_t inner) { \
        for (int64_t i = 0; i < inner; i++) {                                                  \
            TYPE most = LOWEST, least = HIGHEST;                                               \
            uint64_t sum = op == MARTLET_REDUCE_PROD;                                          \
            double logarithm = 0;                                                              \
            for (int64_t j = 0; j < n; j++) {                                                  \
                TYPE v = x[j * inner + i];                                                     \
                uint64_t u = (uint64_t)v;                                                      \
                if (v > most) most = v;                                                        \
                if (v < least) least = v;                                                      \
                switch (op) {                                                                  \
                case MARTLET_REDUCE_PROD: sum *= u; break;                                     \
                case MARTLET_REDUCE_L1: sum += v < 0 ? 0 - u : u; break;                       \
                case MARTLET_REDUCE_L2: case MARTLET_REDUCE_SUM_SQUARE: sum += u * u; break;   \
                case MARTLET_REDUCE_LOG_SUM_EXP: logarithm += exp((double)v); break;           \
                default: sum += u; break;                                                      \
                }                                                                              \
            }                                                                                  \
            TYPE total = (TYPE)sum;                                                            \
            switch (op) {                                                                      \
            case MARTLET_REDUCE_MAX: total = most; break;                                      \
            case MARTLET_REDUCE_MIN: total = least; break;                                     \
            case MARTLET_REDUCE_MEAN:                                                          \
                if (n) total = LOWEST < 0 ? (TYPE)((int64_t)sum / n) : (TYPE)(sum / (uint64_t)n); \
                break;                                                                         \
            case MARTLET_REDUCE_L2: total = (TYPE)sqrt((double)sum); break;                    \
            case MARTLET_REDUCE_LOG_SUM: total = sum ? (TYPE)log((double)sum) : LOWEST; break; \
            case MARTLET_REDUCE_LOG_SUM_EXP:                                                   \
                total = n ? (TYPE)log(logarithm) : LOWEST;                                     \
                break;                                                                         \
            default: break;                                                                    \
            }                                                                                  \
            y[i] = total;                                                                      \
        }                                                                                      \
    }
_Pragma("clang diagnostic push")
_Pragma("clang diagnostic ignored \"-Wtautological-compare\"")
INTEGER(reduce_i8, int8_t, INT8_MIN, INT8_MAX)
INTEGER(reduce_i16, int16_t, INT16_MIN, INT16_MAX)
INTEGER(reduce_i32, int32_t, INT32_MIN, INT32_MAX)
INTEGER(reduce_i64, int64_t, INT64_MIN, INT64_MAX)
INTEGER(reduce_u8, uint8_t, 0, UINT8_MAX)
INTEGER(reduce_u16, uint16_t, 0, UINT16_MAX)
INTEGER(reduce_u32, uint32_t, 0, UINT32_MAX)
INTEGER(reduce_u64, uint64_t, 0, UINT64_MAX)
INTEGER(reduce_bool, uint8_t, 0, 1)
_Pragma("clang diagnostic pop")

int32_t martlet_reduce_knows(martlet_dtype type, martlet_reduction op) {
    if ((uint32_t)op > MARTLET_REDUCE_SUM_SQUARE) return 0;
    if (type == MARTLET_BOOL) return op == MARTLET_REDUCE_MAX || op == MARTLET_REDUCE_MIN;
    return type != MARTLET_F16 && type != MARTLET_BF16 && (uint32_t)type < MARTLET_BOOL;
}

void martlet_reduce_block(
    martlet_dtype type, martlet_reduction op, const void *x, void *y, int64_t n, int64_t inner) {
    switch (type) {
    case MARTLET_F32: reduce_f32(op, x, y, n, inner); break;
    case MARTLET_F64: reduce_f64(op, x, y, n, inner); break;
    case MARTLET_I8: reduce_i8(op, x, y, n, inner); break;
    case MARTLET_I16: reduce_i16(op, x, y, n, inner); break;
    case MARTLET_I32: reduce_i32(op, x, y, n, inner); break;
    case MARTLET_I64: reduce_i64(op, x, y, n, inner); break;
    case MARTLET_U8: reduce_u8(op, x, y, n, inner); break;
    case MARTLET_U16: reduce_u16(op, x, y, n, inner); break;
    case MARTLET_U32: reduce_u32(op, x, y, n, inner); break;
    case MARTLET_U64: reduce_u64(op, x, y, n, inner); break;
    case MARTLET_BOOL: reduce_bool(op, x, y, n, inner); break;
    default: break;
    }
}

int32_t martlet_reduce_reference(
    martlet_dtype type, martlet_reduction op, const void *x, void *y, int64_t outer, int64_t n,
    int64_t inner) {
    if (!martlet_reduce_knows(type, op)) return -1;
    int64_t bytes = martlet_dtype_bytes(type);
    for (int64_t o = 0; o < outer; o++)
        martlet_reduce_block(
            type, op, (const char *)x + o * n * inner * bytes, (char *)y + o * inner * bytes, n,
            inner);
    return 0;
}
