// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Included once per level with TARGET (the function attribute), NAME(x) (the level's suffix) and
// LANES (floats of its widest register).
#include "table.h"

typedef float NAME(lanes) __attribute__((ext_vector_type(LANES), aligned(4)));
typedef int32_t NAME(whole_lanes) __attribute__((ext_vector_type(LANES), aligned(4)));

#define T NAME(lanes)
#define I NAME(whole_lanes)
#define V(X) NAME(v_##X)
#include "vector_math.h"
#undef T
#undef I
#define VECTOR NAME(lanes)
#define AT(P) (*(const VECTOR *)(P))
#define PUT(P) (*(VECTOR *)(P))

// The last n < LANES values of a row, the other lanes holding a filler. A level with masked loads
// and stores gives its own.
#ifdef LOAD_REST
TARGET MARTLET_INLINE VECTOR NAME(load_rest)(const float *x, int64_t n, float filler) {
    return LOAD_REST(x, n, filler);
}
TARGET MARTLET_INLINE void NAME(store_rest)(float *y, int64_t n, VECTOR v) {
    STORE_REST(y, n, v);
}
#else
TARGET MARTLET_INLINE VECTOR NAME(load_rest)(const float *x, int64_t n, float filler) {
    float room[LANES];
    for (int64_t i = 0; i < LANES; i++) room[i] = filler;
    for (int64_t i = 0; i < n; i++) room[i] = x[i];
    return AT(room);
}
TARGET MARTLET_INLINE void NAME(store_rest)(float *y, int64_t n, VECTOR v) {
    float room[LANES];
    PUT(room) = v;
    for (int64_t i = 0; i < n; i++) y[i] = room[i];
}
#endif
// The halves of a vector exchanged, then its quarters and so on: each FOLD joins twice as many
// lanes.
#if LANES == 16
#define FOLD_ALL(JOIN)                                                                         \
    JOIN(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)                                 \
    JOIN(4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)                                 \
    JOIN(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)                                 \
    JOIN(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#elif LANES == 8
#define FOLD_ALL(JOIN)                                                                         \
    JOIN(4, 5, 6, 7, 0, 1, 2, 3) JOIN(2, 3, 0, 1, 6, 7, 4, 5) JOIN(1, 0, 3, 2, 5, 4, 7, 6)
#else
#define FOLD_ALL(JOIN) JOIN(2, 3, 0, 1) JOIN(1, 0, 3, 2)
#endif
TARGET MARTLET_INLINE float NAME(total)(VECTOR v) {
#define JOIN(...) v += __builtin_shufflevector(v, v, __VA_ARGS__);
    FOLD_ALL(JOIN)
#undef JOIN
    return v[0];
}
TARGET MARTLET_INLINE float NAME(largest)(VECTOR v) {
#define JOIN(...)                                                                              \
    {                                                                                          \
        VECTOR other = __builtin_shufflevector(v, v, __VA_ARGS__);                             \
        v = v > other ? v : other;                                                             \
    }
    FOLD_ALL(JOIN)
#undef JOIN
    return v[0];
}
#undef FOLD_ALL

// An operation may work in place: lane i depends on lane i only, which the compiler cannot see.
#define IN_PLACE _Pragma("clang loop vectorize(assume_safety)")

#define LOOP(EXPRESSION)                                                                       \
    IN_PLACE                                                                                   \
    for (int64_t i = 0; i < n; i++) {                                                          \
        float v = x[i];                                                                        \
        y[i] = (EXPRESSION);                                                                   \
    }                                                                                          \
    break;
#define MATH(EXPRESSION)                                                                       \
    {                                                                                          \
        int64_t i = 0;                                                                         \
        for (; i + LANES <= n; i += LANES) {                                                   \
            VECTOR v = AT(x + i);                                                              \
            PUT(y + i) = (EXPRESSION);                                                         \
        }                                                                                      \
        if (i < n) {                                                                           \
            VECTOR v = NAME(load_rest)(x + i, n - i, 0);                                       \
            NAME(store_rest)(y + i, n - i, (EXPRESSION));                                      \
        }                                                                                      \
    }                                                                                          \
    break;

TARGET static int32_t NAME(unary)(
    martlet_unary op, const float *x, void *out, int64_t n, float alpha, float beta) {
    float *y = out;
    switch (op) {
    case MARTLET_NEG: LOOP(-v)
    case MARTLET_ABS: LOOP(__builtin_fabsf(v))
    case MARTLET_SQRT: LOOP(__builtin_elementwise_sqrt(v))
    case MARTLET_RSQRT: LOOP(1.0f / __builtin_elementwise_sqrt(v))
    case MARTLET_RECIPROCAL: LOOP(1.0f / v)
    case MARTLET_SQUARE: LOOP(v * v)
    case MARTLET_EXP: MATH(V(exp)(v))
    case MARTLET_ERF: MATH(V(erf)(v))
    case MARTLET_TANH: MATH(V(tanh)(v))
    case MARTLET_SIGMOID: MATH(V(sigmoid)(v))
    case MARTLET_RELU: LOOP(v < 0 ? 0 : v)
    case MARTLET_LEAKY_RELU: LOOP(v < 0 ? alpha * v : v)
    case MARTLET_GELU_ERF: MATH(V(gelu_erf)(v))
    case MARTLET_GELU_TANH: MATH(V(gelu_tanh)(v))
    case MARTLET_SILU: MATH(V(silu)(v))
    case MARTLET_SOFTSIGN: LOOP(v / (1.0f + __builtin_fabsf(v)))
    case MARTLET_HARD_SIGMOID: MATH(V(clamp)(alpha * v + beta, 0, 1))
    case MARTLET_HARD_SWISH: MATH(v * V(clamp)(v * (1.0f / 6) + 0.5f, 0, 1))
    case MARTLET_THRESHOLDED_RELU: LOOP(v > alpha ? v : 0)
    case MARTLET_CLIP: MATH(V(clamp)(v, alpha, beta))
    case MARTLET_FLOOR: LOOP(__builtin_elementwise_floor(v))
    case MARTLET_CEIL: LOOP(__builtin_elementwise_ceil(v))
    case MARTLET_ROUND: LOOP(__builtin_elementwise_roundeven(v))
    case MARTLET_TRUNCATE: LOOP(__builtin_elementwise_trunc(v))
    default: return 0;
    }
    return 1;
}
#undef LOOP
#undef MATH

#define LOOP(OUT, EXPRESSION)                                                                  \
    if (sa == 1 && sb == 1)                                                                    \
        IN_PLACE                                                                               \
        for (int64_t i = 0; i < n; i++) {                                                      \
            float u = a[i], v = b[i];                                                          \
            OUT[i] = (EXPRESSION);                                                             \
        }                                                                                      \
    else if (sb == 0) {                                                                        \
        float v = b[0];                                                                        \
        IN_PLACE                                                                               \
        for (int64_t i = 0; i < n; i++) {                                                      \
            float u = a[i];                                                                    \
            OUT[i] = (EXPRESSION);                                                             \
        }                                                                                      \
    } else {                                                                                   \
        float u = a[0];                                                                        \
        IN_PLACE                                                                               \
        for (int64_t i = 0; i < n; i++) {                                                      \
            float v = b[i];                                                                    \
            OUT[i] = (EXPRESSION);                                                             \
        }                                                                                      \
    }                                                                                          \
    break;

TARGET static int32_t NAME(binary)(
    martlet_binary op, const float *a, int64_t sa, const float *b, int64_t sb, void *out,
    int64_t n) {
    float *y = out;
    uint8_t *flags = out;
    if (!(sa == 1 && (sb == 1 || sb == 0)) && !(sa == 0 && sb == 1)) return 0;
    switch (op) {
    case MARTLET_ADD: LOOP(y, u + v)
    case MARTLET_SUB: LOOP(y, u - v)
    case MARTLET_MUL: LOOP(y, u *v)
    case MARTLET_DIV: LOOP(y, u / v)
    case MARTLET_MIN: LOOP(y, u < v || u != u ? u : v)
    case MARTLET_MAX: LOOP(y, u > v || u != u ? u : v)
    case MARTLET_PRELU: LOOP(y, u < 0 ? v * u : u)
    case MARTLET_EQUAL: LOOP(flags, u == v)
    case MARTLET_NOT_EQUAL: LOOP(flags, u != v)
    case MARTLET_LESS: LOOP(flags, u < v)
    case MARTLET_LESS_EQUAL: LOOP(flags, u <= v)
    case MARTLET_GREATER: LOOP(flags, u > v)
    case MARTLET_GREATER_EQUAL: LOOP(flags, u >= v)
    default: return 0;
    }
    return 1;
}
#undef LOOP

TARGET static void NAME(activate)(
    martlet_activation activation, float *c, int64_t rows, int64_t columns, int64_t stride,
    float minimum, float maximum) {
#define EACH(EXPRESSION)                                                                       \
    for (int64_t r = 0; r < rows; r++) {                                                       \
        float *row = c + r * stride;                                                           \
        int64_t i = 0;                                                                         \
        for (; i + LANES <= columns; i += LANES) {                                             \
            VECTOR v = AT(row + i);                                                            \
            PUT(row + i) = (EXPRESSION);                                                       \
        }                                                                                      \
        if (i < columns) {                                                                     \
            VECTOR v = NAME(load_rest)(row + i, columns - i, 0);                               \
            NAME(store_rest)(row + i, columns - i, (EXPRESSION));                              \
        }                                                                                      \
    }                                                                                          \
    break;
    switch (activation) {
    case MARTLET_ACTIVATION_NONE: break;
    case MARTLET_ACTIVATION_RELU: EACH(v < (VECTOR)(0.0f) ? (VECTOR)(0.0f) : v)
    case MARTLET_ACTIVATION_CLIP: EACH(V(clamp)(v, minimum, maximum))
    case MARTLET_ACTIVATION_GELU_ERF: EACH(V(gelu_erf)(v))
    case MARTLET_ACTIVATION_GELU_TANH: EACH(V(gelu_tanh)(v))
    case MARTLET_ACTIVATION_SILU: EACH(V(silu)(v))
    case MARTLET_ACTIVATION_SIGMOID: EACH(V(sigmoid)(v))
    case MARTLET_ACTIVATION_TANH: EACH(V(tanh)(v))
    case MARTLET_ACTIVATION_HARD_SWISH: EACH(v * V(clamp)(v * (1.0f / 6) + 0.5f, 0, 1))
    case MARTLET_ACTIVATION_LEAKY_RELU: EACH(v < (VECTOR)(0.0f) ? minimum * v : v)
    case MARTLET_ACTIVATION_HARD_SIGMOID: EACH(V(clamp)(minimum * v + maximum, 0, 1))
    }
#undef EACH
}

// Four running vectors hide the latency of an addition. BODY gives the term at offset i from x
// (and what else it names) through LOAD, which at the end of a row loads what is left.
#define SUM_LOOP(TERM)                                                                         \
    VECTOR s0 = 0, s1 = 0, s2 = 0, s3 = 0;                                                     \
    int64_t i = 0;                                                                             \
    for (; i + 4 * LANES <= n; i += 4 * LANES) {                                               \
        s0 += TERM(AT, i);                                                                     \
        s1 += TERM(AT, i + LANES);                                                             \
        s2 += TERM(AT, i + 2 * LANES);                                                         \
        s3 += TERM(AT, i + 3 * LANES);                                                         \
    }                                                                                          \
    for (; i + LANES <= n; i += LANES) s0 += TERM(AT, i);                                      \
    if (i < n) s1 += TERM(REST, i);                                                            \
    return NAME(total)((s0 + s1) + (s2 + s3));
#define REST(P) NAME(load_rest)(P, n - i, filler)

TARGET static float NAME(dot)(const float *a, const float *b, int64_t n) {
    const float filler = 0;
#define TERM(LOAD, P) (LOAD(a + (P)) * LOAD(b + (P)))
    SUM_LOOP(TERM)
#undef TERM
}
TARGET static float NAME(distance)(const float *a, const float *b, int64_t n) {
    const float filler = 0;
#define TERM(LOAD, P) ((LOAD(a + (P)) - LOAD(b + (P))) * (LOAD(a + (P)) - LOAD(b + (P))))
    SUM_LOOP(TERM)
#undef TERM
}
TARGET static float NAME(sum)(const float *x, int64_t n) {
    const float filler = 0;
#define TERM(LOAD, P) LOAD(x + (P))
    SUM_LOOP(TERM)
#undef TERM
}
TARGET static float NAME(absolute_sum)(const float *x, int64_t n) {
    const float filler = 0;
#define TERM(LOAD, P) __builtin_elementwise_abs(LOAD(x + (P)))
    SUM_LOOP(TERM)
#undef TERM
}
// Of the deviations from mean; the filler deviates by nothing.
TARGET static float NAME(squares)(const float *x, int64_t n, float mean) {
    const float filler = mean;
#define TERM(LOAD, P) ((LOAD(x + (P)) - mean) * (LOAD(x + (P)) - mean))
    SUM_LOOP(TERM)
#undef TERM
}
#undef SUM_LOOP

// A NaN is passed over.
TARGET static float NAME(maximum)(const float *x, int64_t n) {
    const float filler = -INFINITY;
    VECTOR m0 = filler, m1 = filler;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        VECTOR v0 = AT(x + i), v1 = AT(x + i + LANES);
        m0 = v0 > m0 ? v0 : m0;
        m1 = v1 > m1 ? v1 : m1;
    }
    for (; i + LANES <= n; i += LANES) {
        VECTOR v = AT(x + i);
        m0 = v > m0 ? v : m0;
    }
    if (i < n) {
        VECTOR v = REST(x + i);
        m1 = v > m1 ? v : m1;
    }
    return NAME(largest)(m0 > m1 ? m0 : m1);
}

// x += mask in place; gives the largest.
TARGET static float NAME(add_maximum)(float *x, const float *mask, int64_t n) {
    VECTOR m0 = -INFINITY, m1 = -INFINITY;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        VECTOR v0 = AT(x + i) + AT(mask + i);
        VECTOR v1 = AT(x + i + LANES) + AT(mask + i + LANES);
        PUT(x + i) = v0;
        PUT(x + i + LANES) = v1;
        m0 = v0 > m0 ? v0 : m0;
        m1 = v1 > m1 ? v1 : m1;
    }
    for (; i < n; i += LANES) {
        int64_t size = n - i < LANES ? n - i : LANES;
        VECTOR v = size == LANES ? AT(x + i) + AT(mask + i)
                                 : NAME(load_rest)(x + i, size, -INFINITY) +
                                       NAME(load_rest)(mask + i, size, 0);
        if (size == LANES) PUT(x + i) = v;
        else NAME(store_rest)(x + i, size, v);
        m0 = v > m0 ? v : m0;
    }
    return NAME(largest)(m0 > m1 ? m0 : m1);
}

TARGET static void NAME(scale)(float *x, float factor, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] *= factor;
}

// y = e^(x - most), y may be NULL; gives the sum.
TARGET MARTLET_INLINE float NAME(exp_sum)(const float *x, float *y, int64_t n, float most) {
    const float filler = -INFINITY;
    VECTOR s0 = 0, s1 = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        VECTOR e0 = V(exp_negative)(AT(x + i) - most);
        VECTOR e1 = V(exp_negative)(AT(x + i + LANES) - most);
        if (y) PUT(y + i) = e0, PUT(y + i + LANES) = e1;
        s0 += e0;
        s1 += e1;
    }
    for (; i < n; i += LANES) {
        VECTOR e = V(exp_negative)((n - i >= LANES ? AT(x + i) : REST(x + i)) - most);
        if (y && n - i >= LANES) PUT(y + i) = e;
        else if (y) NAME(store_rest)(y + i, n - i, e);
        s0 += e;
    }
    return NAME(total)(s0 + s1);
}
#undef REST

TARGET static float NAME(softmax_scores)(float *x, const float *mask, int64_t n) {
    float most = mask ? NAME(add_maximum)(x, mask, n) : NAME(maximum)(x, n);
    if (most == -INFINITY) {
        for (int64_t i = 0; i < n; i++) x[i] = 0;
        return 0;
    }
    return NAME(exp_sum)(x, x, n, most);
}

TARGET static void NAME(softmax_row)(const float *x, float *y, int64_t n, int32_t logarithm) {
    float most = NAME(maximum)(x, n);
    if (logarithm) {
        float shift = logf(NAME(exp_sum)(x, NULL, n, most));
        for (int64_t i = 0; i < n; i++) y[i] = x[i] - most - shift;
        return;
    }
    float factor = 1.0f / NAME(exp_sum)(x, y, n, most);
    for (int64_t i = 0; i < n; i++) y[i] *= factor;
}

// Columns [0, columns) of x[n][inner], LANES at once.
TARGET static void NAME(softmax_columns)(
    const float *x, float *y, int64_t n, int64_t inner, int64_t columns, int32_t logarithm) {
    for (int64_t c = 0; c < columns; c += LANES) {
        int64_t size = columns - c < LANES ? columns - c : LANES;
#define LOAD(P) (size == LANES ? AT(P) : NAME(load_rest)(P, size, 0))
#define STORE(P, VALUE)                                                                        \
    if (size == LANES) PUT(P) = (VALUE);                                                       \
    else NAME(store_rest)(P, size, (VALUE));
        VECTOR most = -INFINITY, total = 0;
        for (int64_t j = 0; j < n; j++) {
            VECTOR v = LOAD(x + j * inner + c);
            most = v > most ? v : most;
        }
        for (int64_t j = 0; j < n; j++) {
            VECTOR v = LOAD(x + j * inner + c) - most, e = V(exp_negative)(v);
            total += e;
            STORE(y + j * inner + c, logarithm ? v : e)
        }
        float sums[LANES];
        PUT(sums) = total;
        for (int64_t l = 0; l < size; l++) sums[l] = logarithm ? logf(sums[l]) : 1.0f / sums[l];
        total = AT(sums);
        for (int64_t j = 0; j < n; j++) {
            VECTOR v = LOAD(y + j * inner + c);
            STORE(y + j * inner + c, logarithm ? v - total : v * total)
        }
    }
#undef LOAD
#undef STORE
}

// Rows may be normalised in place.
TARGET MARTLET_INLINE void NAME(normalize_row)(
    const float *x, float *y, int64_t n, float mean, float inverse, const float *gamma,
    const float *beta) {
    const int has_gamma = gamma != NULL, has_beta = beta != NULL;
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t size = n - i < LANES ? n - i : LANES;
#define LOAD(P) (size == LANES ? AT(P) : NAME(load_rest)(P, size, 0))
        VECTOR v = (LOAD(x + i) - mean) * inverse;
        if (has_gamma) v *= LOAD(gamma + i);
        if (has_beta) v += LOAD(beta + i);
        if (size == LANES) PUT(y + i) = v;
        else NAME(store_rest)(y + i, size, v);
#undef LOAD
    }
}

TARGET MARTLET_INLINE void NAME(normalize)(const martlet_norm_f32_args *a, int centered) {
    int64_t n = a->n;
    float share = 1.0f / (float)(n ? n : 1);
    for (int64_t r = 0; r < a->rows; r++) {
        const float *x = a->x + r * a->x_row_stride;
        float *y = a->y + r * a->y_row_stride;
        if (a->residual) {
            const float *residual = a->residual + r * a->residual_row_stride;
            float *sum = a->sum ? a->sum + r * a->sum_row_stride : y;
            IN_PLACE
            for (int64_t i = 0; i < n; i++) sum[i] = x[i] + residual[i];
            x = sum;
        } else if (a->sum)
            memmove(a->sum + r * a->sum_row_stride, x, (size_t)n * sizeof(float));
        float mean = centered ? NAME(sum)(x, n) * share : 0;
        float inverse = 1.0f / sqrtf(NAME(squares)(x, n, mean) * share + a->epsilon);
        NAME(normalize_row)(x, y, n, mean, inverse, a->gamma, a->beta);
        if (a->mean) a->mean[r] = mean;
        if (a->inverse) a->inverse[r] = inverse;
    }
}
TARGET static void NAME(layer_norm)(const martlet_norm_f32_args *args) {
    NAME(normalize)(args, 1);
}
TARGET static void NAME(rms_norm)(const martlet_norm_f32_args *args) { NAME(normalize)(args, 0); }

TARGET static int32_t NAME(reduce)(
    martlet_reduction op, const float *x, float *y, int64_t n, int64_t inner) {
    if (n == 0) return 0;
    if (inner == 1) {
        switch (op) {
        case MARTLET_REDUCE_SUM: y[0] = NAME(sum)(x, n); break;
        case MARTLET_REDUCE_MEAN: y[0] = NAME(sum)(x, n) / (float)n; break;
        case MARTLET_REDUCE_L1: y[0] = NAME(absolute_sum)(x, n); break;
        case MARTLET_REDUCE_L2: y[0] = sqrtf(NAME(dot)(x, x, n)); break;
        case MARTLET_REDUCE_SUM_SQUARE: y[0] = NAME(dot)(x, x, n); break;
        default: return 0;
        }
        return 1;
    }
#define ROWS(START, EXPRESSION)                                                                \
    for (int64_t i = 0; i < inner; i++) y[i] = START;                                          \
    for (int64_t j = 0; j < n; j++)                                                            \
        for (int64_t i = 0; i < inner; i++) {                                                  \
            float v = x[j * inner + i];                                                        \
            y[i] = (EXPRESSION);                                                               \
        }
    switch (op) {
    case MARTLET_REDUCE_SUM: case MARTLET_REDUCE_MEAN: ROWS(0, y[i] + v) break;
    case MARTLET_REDUCE_MAX: ROWS(-INFINITY, y[i] > v || y[i] != y[i] ? y[i] : v) break;
    case MARTLET_REDUCE_MIN: ROWS(INFINITY, y[i] < v || y[i] != y[i] ? y[i] : v) break;
    case MARTLET_REDUCE_L1: ROWS(0, y[i] + __builtin_fabsf(v)) break;
    case MARTLET_REDUCE_L2: case MARTLET_REDUCE_SUM_SQUARE: ROWS(0, y[i] + v * v) break;
    default: return 0;
    }
#undef ROWS
    if (op == MARTLET_REDUCE_MEAN) NAME(scale)(y, 1.0f / (float)n, inner);
    if (op == MARTLET_REDUCE_L2)
        for (int64_t i = 0; i < inner; i++) y[i] = __builtin_elementwise_sqrt(y[i]);
    return 1;
}
