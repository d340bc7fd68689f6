// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Loops over pixels of many channels. Included once per level, after vector_kernels.h.

// One block of at most WIDE * LANES channels of a run of pixels; taps is a constant where the
// weights are to stay in registers.
TARGET MARTLET_INLINE void NAME(depthwise_block)(
    const martlet_depthwise_run *r, const int taps, const int wide, int64_t c, int64_t size) {
    VECTOR weights[9 * 2], bias[2];
    // Of the last block, size channels are there.
#define LOAD(P, U) (size == LANES ? AT((P) + (U) * LANES) : NAME(load_rest)(P, size, 0))
#pragma clang loop unroll(full)
    for (int u = 0; u < wide; u++) {
        bias[u] = r->bias ? LOAD(r->bias + c, u) : (VECTOR)(0.0f);
#pragma clang loop unroll(full)
        for (int t = 0; t < taps; t++) weights[t * wide + u] = LOAD(r->weights[t] + c, u);
    }
    for (int64_t p = 0; p < r->count; p++) {
        float *y = r->y + p * r->y_step + c;
        const float *residual = r->residual ? r->residual + p * r->residual_step + c : NULL;
#pragma clang loop unroll(full)
        for (int u = 0; u < wide; u++) {
            VECTOR s = bias[u];
#pragma clang loop unroll(full)
            for (int t = 0; t < taps; t++)
                s += LOAD(r->pixels[t] + p * r->x_step + c, u) * weights[t * wide + u];
            if (residual) s += LOAD(residual, u);
            // The value is kept where it compares with nothing, so that a NaN stays one.
            s = s < (VECTOR)(r->low) ? (VECTOR)(r->low) : s;
            s = s > (VECTOR)(r->high) ? (VECTOR)(r->high) : s;
            if (size == LANES) PUT(y + u * LANES) = s;
            else NAME(store_rest)(y, size, s);
        }
    }
#undef LOAD
}

TARGET MARTLET_INLINE void NAME(depthwise_taps)(const martlet_depthwise_run *r, const int taps) {
    int64_t c = 0;
    // Two vectors' weights fit where there are 32 registers.
    if (LANES == 16)
        for (; c + 2 * LANES <= r->channels; c += 2 * LANES)
            NAME(depthwise_block)(r, taps, 2, c, LANES);
    for (; c + LANES <= r->channels; c += LANES) NAME(depthwise_block)(r, taps, 1, c, LANES);
    if (c < r->channels) NAME(depthwise_block)(r, taps, 1, c, r->channels - c);
}

TARGET static void NAME(depthwise_any)(const martlet_depthwise_run *r) {
    for (int64_t p = 0; p < r->count; p++)
        for (int64_t c = 0; c < r->channels; c += LANES) {
            int64_t size = r->channels - c < LANES ? r->channels - c : LANES;
#define LOAD(P) (size == LANES ? AT(P) : NAME(load_rest)(P, size, 0))
            VECTOR s = r->bias ? LOAD(r->bias + c) : (VECTOR)(0.0f);
            for (int64_t t = 0; t < r->taps; t++)
                s += LOAD(r->pixels[t] + p * r->x_step + c) * LOAD(r->weights[t] + c);
            if (r->residual) s += LOAD(r->residual + p * r->residual_step + c);
            s = s < (VECTOR)(r->low) ? (VECTOR)(r->low) : s;
            s = s > (VECTOR)(r->high) ? (VECTOR)(r->high) : s;
            float *y = r->y + p * r->y_step + c;
            if (size == LANES) PUT(y) = s;
            else NAME(store_rest)(y, size, s);
#undef LOAD
        }
}

TARGET static void NAME(depthwise)(const martlet_depthwise_run *r) {
    switch (r->taps) {
    case 9: NAME(depthwise_taps)(r, 9); break;
    case 6: NAME(depthwise_taps)(r, 6); break;
    case 4: NAME(depthwise_taps)(r, 4); break;
    default: NAME(depthwise_any)(r); break;
    }
}

// One pixel: the maximum or the sum of its taps, times factor.
TARGET MARTLET_INLINE void NAME(pool_pixel)(
    const martlet_pool_run *r, int64_t at, const int taps, float *y) {
    for (int64_t c = 0; c < r->channels; c += LANES) {
        int64_t size = r->channels - c < LANES ? r->channels - c : LANES;
#define LOAD(T) (size == LANES ? AT(r->pixels[T] + at + c)                                     \
                               : NAME(load_rest)(r->pixels[T] + at + c, size, 0))
        VECTOR v = r->average ? (VECTOR)(0.0f) : (VECTOR)(-3.402823466e38f);
        if (r->average) {
            for (int64_t t = 0; t < taps; t++) v += LOAD(t);
            v *= r->factor;
        } else
            for (int64_t t = 0; t < taps; t++) {
                VECTOR other = LOAD(t);
                v = other > v ? other : v;
            }
#undef LOAD
        if (size == LANES) PUT(y + c) = v;
        else NAME(store_rest)(y + c, size, v);
    }
}

TARGET static void NAME(pool)(const martlet_pool_run *r) {
    for (int64_t p = 0; p < r->count; p++) {
        // Windows of 3x3, the usual ones, are unrolled.
        if (r->taps == 9) NAME(pool_pixel)(r, p * r->x_step, 9, r->y + p * r->y_step);
        else NAME(pool_pixel)(r, p * r->x_step, (int)r->taps, r->y + p * r->y_step);
    }
}

// What of bias and residual is there is told apart outside the loops: a masked load from address
// zero, into which the compiler would turn a choice inside, costs a thousand cycles.
TARGET static void NAME(finish)(
    const float *x, const float *bias, const float *residual, float *y, int64_t n,
    martlet_activation activation, float minimum, float maximum) {
    int64_t i = 0;
    for (; i < n; i += LANES) {
        int64_t size = n - i < LANES ? n - i : LANES;
#define LOAD(P) (size == LANES ? AT(P) : NAME(load_rest)(P, size, 0))
        VECTOR v = LOAD(x + i);
        if (bias) v += LOAD(bias + i);
        if (residual) v += LOAD(residual + i);
        if (activation == MARTLET_ACTIVATION_RELU) v = v < (VECTOR)(0.0f) ? (VECTOR)(0.0f) : v;
        if (size == LANES) PUT(y + i) = v;
        else NAME(store_rest)(y + i, size, v);
#undef LOAD
    }
    if (activation != MARTLET_ACTIVATION_NONE && activation != MARTLET_ACTIVATION_RELU)
        NAME(activate)(activation, y, 1, n, n, minimum, maximum);
}

TARGET static void NAME(scale_shift)(
    const float *x, const float *scale, const float *shift, float *y, int64_t n,
    martlet_activation activation, float minimum, float maximum) {
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t size = n - i < LANES ? n - i : LANES;
#define LOAD(P) (size == LANES ? AT(P) : NAME(load_rest)(P, size, 0))
        VECTOR v = LOAD(x + i) * LOAD(scale + i) + LOAD(shift + i);
        if (activation == MARTLET_ACTIVATION_RELU) v = v < (VECTOR)(0.0f) ? (VECTOR)(0.0f) : v;
        if (size == LANES) PUT(y + i) = v;
        else NAME(store_rest)(y + i, size, v);
#undef LOAD
    }
    if (activation != MARTLET_ACTIVATION_NONE && activation != MARTLET_ACTIVATION_RELU)
        NAME(activate)(activation, y, 1, n, n, minimum, maximum);
}
