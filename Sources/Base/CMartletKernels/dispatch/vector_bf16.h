// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// What products in bf16 need around them. Included once per level, after vector_kernels.h.

typedef uint16_t NAME(half_lanes) __attribute__((ext_vector_type(LANES), aligned(2)));

// To the nearest, to even; a NaN stays one.
TARGET MARTLET_INLINE NAME(half_lanes) NAME(to_bf16)(VECTOR x) {
    V(bits) v = {.f = x};
    NAME(whole_lanes) rounded = v.i + 0x7fff + (v.i >> 16 & 1);
    rounded = x == x ? rounded : v.i | 0x400000;
    return __builtin_convertvector(rounded >> 16, NAME(half_lanes));
}

// To the nearest, of two to the larger; a NaN may get lost.
TARGET MARTLET_INLINE NAME(half_lanes) NAME(positive_to_bf16)(VECTOR x) {
    V(bits) v = {.f = x};
    return __builtin_convertvector((v.i + 0x8000) >> 16, NAME(half_lanes));
}

TARGET static void NAME(f32_to_bf16)(const float *x, uint16_t *y, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) *(NAME(half_lanes) *)(y + i) = NAME(to_bf16)(AT(x + i));
    for (; i < n; i++) y[i] = martlet_bf16_of(x[i]);
}
TARGET static void NAME(bf16_to_f32)(const uint16_t *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t u = (uint32_t)x[i] << 16;
        memcpy(y + i, &u, sizeof u);
    }
}

// Pairs of values from two rows, the second's (0 without one) in the upper half of each word.
TARGET static void NAME(pairs_to_bf16)(
    const float *x, const float *other, uint32_t *y, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t size = n - i < LANES ? n - i : LANES;
#define LOAD(P) (size == LANES ? AT(P) : NAME(load_rest)(P, size, 0))
        VECTOR high = other ? LOAD(other + i) : (VECTOR)(0.0f);
        NAME(whole_lanes) words =
            __builtin_convertvector(NAME(to_bf16)(LOAD(x + i)), NAME(whole_lanes)) |
            __builtin_convertvector(NAME(to_bf16)(high), NAME(whole_lanes)) << 16;
#undef LOAD
        if (size == LANES) *(NAME(whole_lanes) *)(y + i) = words;
        else memcpy(y + i, &words, (size_t)size * sizeof *y);
    }
}

// As softmax_scores, the result as bf16 in y. A NaN shows in the sum.
TARGET static float NAME(softmax_scores_bf16)(
    float *x, const float *mask, uint16_t *y, int64_t n) {
    float most = mask ? NAME(add_maximum)(x, mask, n) : NAME(maximum)(x, n);
    if (most == -INFINITY) {
        memset(y, 0, (size_t)n * sizeof *y);
        return 0;
    }
    VECTOR s0 = 0, s1 = 0;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        VECTOR e0 = V(exp_rough)(AT(x + i) - most);
        VECTOR e1 = V(exp_rough)(AT(x + i + LANES) - most);
        s0 += e0;
        s1 += e1;
        *(NAME(half_lanes) *)(y + i) = NAME(positive_to_bf16)(e0);
        *(NAME(half_lanes) *)(y + i + LANES) = NAME(positive_to_bf16)(e1);
    }
    for (; i < n; i += LANES) {
        int64_t size = n - i < LANES ? n - i : LANES;
        VECTOR v = size == LANES ? AT(x + i) : NAME(load_rest)(x + i, size, -INFINITY);
        VECTOR e = V(exp_rough)(v - most);
        NAME(half_lanes) halves = NAME(positive_to_bf16)(e);
        memcpy(y + i, &halves, (size_t)size * sizeof *y);
        for (int64_t l = size; l < LANES; l++) e[l] = 0;
        s0 += e;
    }
    return NAME(total)(s0 + s1);
}

// GELU for answers that 8 bits of mantissa will hold, in half the time: 3e-4 of absolute error.
TARGET static void NAME(gelu_rough)(
    float *c, int64_t rows, int64_t columns, int64_t stride) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < columns; i += LANES) {
            float *at = c + r * stride + i;
            int64_t size = columns - i < LANES ? columns - i : LANES;
            VECTOR x = size == LANES ? AT(at) : NAME(load_rest)(at, size, 0);
            // The normal distribution's integral as an odd polynomial, 0 and 1 at the bounds.
            VECTOR b = V(clamp)(x, -3.8f, 3.8f), t = b * b;
            VECTOR p = t * 4.250388119e-08f - 2.583464445e-06f;
            p = p * t + 6.722527195e-05f;
            p = p * t - 1.000205102e-03f;
            p = p * t + 9.688506248e-03f;
            p = p * t - 6.667436365e-02f;
            p = p * t + 3.995349489e-01f;
            p = p * b + 0.5f;
            // Far below the bound the integral's last bit would count.
            x = (x < (VECTOR)(-16.0f) ? (VECTOR)(-16.0f) : x) * p;
            if (size == LANES) PUT(at) = x;
            else NAME(store_rest)(at, size, x);
        }
}
