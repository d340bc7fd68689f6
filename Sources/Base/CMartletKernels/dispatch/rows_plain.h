// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Tiles of rows in vectors of 16 that the compiler splits as the level wants: TARGET, NAME, FMA and
// DOT(sum, quads, quad) are whoever includes this's.
#include "rows.h"

// Wide vectors only pass between functions that are inlined.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float NAME(floats) __attribute__((ext_vector_type(16)));
typedef int32_t NAME(words) __attribute__((ext_vector_type(16)));
typedef uint32_t NAME(quads) __attribute__((ext_vector_type(16)));
#define F NAME(floats)
#define W NAME(words)
#define U NAME(quads)
#define T F
#define I W
#define V(X) NAME(v_##X)
#include "vector_math.h"

TARGET MARTLET_INLINE F NAME(halves_at)(const uint8_t *x) {
    F y;
    for (int i = 0; i < 16; i++) y[i] = martlet_of_f16((uint16_t)(x[2 * i] | x[2 * i + 1] << 8));
    return y;
}

TARGET MARTLET_INLINE void NAME(begin)(const martlet_rows_tile *t, F f[]) {
    for (int i = 0; i < t->size; i++)
        for (int c = 0; c < 16; c++)
            f[i][c] = !t->first && i < t->stored && c < t->columns ? t->c[i * t->c_stride + c] : 0;
}

TARGET MARTLET_INLINE void NAME(end)(const martlet_rows_tile *t, const F f[]) {
    for (int i = 0; i < t->stored; i++)
        for (int c = 0; c < t->columns; c++) {
            float x = f[i][c];
            if (t->last) {
                if (t->bias) x += t->bias[c];
                if (t->cap > 0) x = t->cap * tanhf(x / t->cap);
                if (t->residual) x += t->residual[i * t->residual_stride + c];
            }
            t->c[i * t->c_stride + c] = x;
        }
}

TARGET MARTLET_INLINE void NAME(unpack)(martlet_weights type, const uint8_t *v, U w[8]) {
    int64_t bytes = martlet_panel_value_bytes(type);
    U x[6];
    if (bytes == 512) {
        memcpy(w, v, 512);
        return;
    }
    memcpy(x, v, (size_t)bytes);
    for (int i = 0; i < 8; i++) {
        w[i] = x[i % 4] >> (i / 4 * 4) & 0x0f0f0f0f;
        if (bytes == 320) w[i] |= (x[4] >> i & 0x01010101) << 4;
        if (bytes == 384) w[i] |= (x[4 + i / 4] >> (i % 4 * 2) & 0x03030303) << 4;
    }
}

TARGET MARTLET_INLINE F NAME(scales_at)(
    martlet_weights type, const uint8_t *s, int64_t g, F *second) {
    F scale;
    switch (type) {
    case MARTLET_WEIGHTS_Q4_1: case MARTLET_WEIGHTS_Q5_1:
        *second = NAME(halves_at)(s + g % 2 * 64 + 32);
        return NAME(halves_at)(s + g % 2 * 64);
    case MARTLET_WEIGHTS_Q4_K: case MARTLET_WEIGHTS_Q5_K: {
        const uint8_t *six = s + 64 + g % 8 * 32;
        F d = NAME(halves_at)(s), e = NAME(halves_at)(s + 32);
        for (int i = 0; i < 16; i++) {
            scale[i] = d[i] * six[i];
            (*second)[i] = -e[i] * six[16 + i];
        }
        return scale;
    }
    case MARTLET_WEIGHTS_Q6_K: {
        const int8_t *eight = (const int8_t *)s + 32 + g % 8 * 32;
        F d = NAME(halves_at)(s);
        for (int i = 0; i < 16; i++) {
            scale[i] = d[i] * eight[i];
            (*second)[i] = d[i] * eight[16 + i];
        }
        return scale;
    }
    default: return NAME(halves_at)(s + g % 2 * 32);
    }
}

TARGET static void NAME(blocks)(martlet_weights type, const martlet_rows_tile *t) {
    int has_least = type == MARTLET_WEIGHTS_Q4_1 || type == MARTLET_WEIGHTS_Q5_1 ||
                    type == MARTLET_WEIGHTS_Q4_K || type == MARTLET_WEIGHTS_Q5_K;
    int split = type == MARTLET_WEIGHTS_Q6_K;
    F f[12];
    NAME(begin)(t, f);
    for (int64_t g = t->from; g < t->to; g++) {
        U w[8];
        const uint8_t *scales = t->values + martlet_panel_scales_at(type, g);
        F second = (F)(0.0f), scale = NAME(scales_at)(type, scales, g, &second);
        NAME(unpack)(type, t->values + martlet_panel_values_at(type, g), w);
        const uint8_t *a = t->rows + g * t->size * 32;
        const martlet_row_group *r = t->groups + g * t->size;
        for (int i = 0; i < t->size; i++) {
            W sums[2] = {(W)(0), (W)(0)};
            if (!has_least) sums[0] += r[i].start;
            if (split) sums[1] += r[i].high_start;
            for (int q = 0; q < 8; q++) {
                int32_t quad;
                memcpy(&quad, a + i * 32 + q * 4, 4);
                W *sum = &sums[split && q >= 4];
                *sum = DOT(*sum, w[q], quad);
            }
            F by = scale * r[i].scale;
            f[i] = FMA(__builtin_convertvector(sums[0], F), by, f[i]);
            if (split) {
                by = second * r[i].scale;
                f[i] = FMA(__builtin_convertvector(sums[1], F), by, f[i]);
            }
            if (has_least) {
                f[i] = FMA(second, (F)(r[i].sum), f[i]);
            }
        }
    }
    NAME(end)(t, f);
}

TARGET MARTLET_INLINE void NAME(pair_at)(
    martlet_weights type, const uint8_t *v, F *first, F *second) {
    if (type == MARTLET_WEIGHTS_F32) {
        memcpy(first, v, 64);
        memcpy(second, v + 64, 64);
    } else if (type == MARTLET_WEIGHTS_F16) {
        *first = NAME(halves_at)(v);
        *second = NAME(halves_at)(v + 32);
    } else {
        U pair, low, high;
        memcpy(&pair, v, 64);
        low = pair << 16;
        high = pair & 0xffff0000;
        memcpy(first, &low, 64);
        memcpy(second, &high, 64);
    }
}

TARGET static void NAME(plain)(martlet_weights type, const martlet_rows_tile *t, int halves) {
    F even[12], odd[12];
    int n = t->size;
    NAME(begin)(t, even);
    for (int i = 0; i < n; i++) odd[i] = (F)(0.0f);
    int64_t bytes = martlet_panel_value_bytes(type) / 16;
    const uint8_t *v = t->values + t->from * 16 * bytes;
    const uint16_t *pairs = (const uint16_t *)t->rows;
    const float *a = (const float *)t->rows;
    for (int64_t p = t->from * 16; p < t->to * 16; p++, v += bytes) {
        F first, second;
        NAME(pair_at)(type, v, &first, &second);
        // BF16 rows add their pairs to the sums in turn, as the instruction does.
        F *sums = halves && p % 2 ? odd : even, *others = halves ? sums : odd;
        for (int i = 0; i < n; i++) {
            float x = halves ? martlet_of_bf16(pairs[(p * n + i) * 2]) : a[p * 2 * n + i];
            float y = halves ? martlet_of_bf16(pairs[(p * n + i) * 2 + 1]) : a[p * 2 * n + n + i];
            sums[i] = FMA(first, (F)(x), sums[i]);
            others[i] = FMA(second, (F)(y), others[i]);
        }
    }
    for (int i = 0; i < n; i++) even[i] += odd[i];
    NAME(end)(t, even);
}

// --- Preparing

TARGET MARTLET_INLINE void NAME(load_group)(
    const martlet_rows_args *a, const float *x, int64_t k, float factor, float y[32]) {
    for (int i = 0; i < 32; i++) {
        y[i] = k + i < a->k ? x[k + i] : 0;
        if (a->source == MARTLET_ROWS_NORM && k + i < a->k)
            y[i] = y[i] * factor * a->weight[k + i];
    }
    if (a->source < MARTLET_ROWS_SILU) return;
    F v[2];
    memcpy(v, y, sizeof v);
    for (int h = 0; h < 2; h++)
        v[h] = a->source == MARTLET_ROWS_SILU        ? NAME(v_silu)(v[h])
               : a->source == MARTLET_ROWS_GELU_TANH ? NAME(v_gelu_tanh)(v[h])
                                                     : NAME(v_gelu_erf)(v[h]);
    memcpy(y, v, sizeof v);
    for (int i = 0; i < 32 && k + i < a->k; i++) y[i] *= x[a->k + k + i];
}

TARGET MARTLET_INLINE void NAME(put_group)(
    martlet_rows type, const float y[32], int64_t g, int size, int row, uint8_t *tile,
    martlet_row_group *to) {
    if (type == MARTLET_ROWS_F32) {
        for (int i = 0; i < 32; i++) ((float *)tile)[(g * 32 + i) * size + row] = y[i];
        return;
    }
    if (type == MARTLET_ROWS_BF16) {
        uint16_t *pairs = (uint16_t *)tile;
        for (int i = 0; i < 32; i++)
            pairs[((g * 16 + i / 2) * size + row) * 2 + i % 2] = martlet_bf16_of(y[i]);
        return;
    }
    uint32_t most = 0;
    for (int i = 0; i < 32; i++) {
        uint32_t bits;
        memcpy(&bits, y + i, 4);
        bits &= 0x7fffffff;
        most = bits > most ? bits : most;
    }
    float largest;
    memcpy(&largest, &most, 4);
    int finite = largest < INFINITY;
    float inverse = finite && largest > 0 ? 127 / largest : 0;
    int32_t sums[2] = {0, 0};
    int8_t *values = (int8_t *)tile + (g * size + row) * 32;
    for (int i = 0; i < 32; i++) {
        values[i] = finite ? (int8_t)rintf(y[i] * inverse) : 0;
        sums[i / 16] += values[i];
    }
    float scale = finite ? largest / 127 : NAN;
    int32_t zero = martlet_rows_zero(type), all = sums[0] + sums[1];
    to[g * size + row] = (martlet_row_group){
        .scale = scale, .sum = scale * (float)all,
        .start = -zero * (type == MARTLET_ROWS_INT8_32 ? sums[0] : all),
        .high_start = -zero * sums[1]};
}

TARGET static void NAME(prepare)(
    const martlet_rows_args *a, int64_t from, int64_t count, void *tile) {
    int size = martlet_rows_tile_size(count);
    int64_t bytes = martlet_row_groups(a->k) * martlet_rows_group_bytes(a->type) * size;
    martlet_row_group *groups = (martlet_row_group *)((uint8_t *)tile + bytes);
    for (int i = 0; i < count; i++) {
        const float *x = a->x + (from + i) * a->x_stride;
        float factor = 1;
        if (a->source == MARTLET_ROWS_NORM) {
            double sum = 0;
            for (int64_t k = 0; k < a->k; k++) sum += (double)x[k] * x[k];
            factor = 1 / sqrtf((float)(sum / (double)a->k) + a->epsilon);
        }
        for (int64_t g = 0; g < martlet_row_groups(a->k); g++) {
            float y[32];
            NAME(load_group)(a, x, g * 32, factor, y);
            NAME(put_group)(a->type, y, g, size, i, tile, groups);
        }
    }
}

// --- The table

#define BLOCKS(TYPE)                                                                           \
    TARGET static void NAME(TYPE)(const martlet_rows_tile *t) {                                \
        NAME(blocks)(MARTLET_WEIGHTS_##TYPE, t);                                               \
    }
#define PLAIN(TYPE)                                                                            \
    TARGET static void NAME(TYPE)(const martlet_rows_tile *t) {                                \
        NAME(plain)(MARTLET_WEIGHTS_##TYPE, t, 0);                                             \
    }
BLOCKS(Q4_0) BLOCKS(Q4_1) BLOCKS(Q5_0) BLOCKS(Q5_1) BLOCKS(Q8_0) BLOCKS(Q4_K) BLOCKS(Q5_K)
BLOCKS(Q6_K) PLAIN(F32) PLAIN(F16) PLAIN(BF16)
TARGET static void NAME(pairs)(const martlet_rows_tile *t) {
    NAME(plain)(MARTLET_WEIGHTS_BF16, t, 1);
}

#define ENTRIES(TYPE) {[1 ... MARTLET_ROWS_TILE] = NAME(TYPE)}
const martlet_rows_table NAME(martlet_rows) = {
    .floats = {ENTRIES(F32), ENTRIES(F16), ENTRIES(BF16)},
    .halves = ENTRIES(pairs),
    .blocks = {
        [MARTLET_WEIGHTS_Q4_0] = ENTRIES(Q4_0), [MARTLET_WEIGHTS_Q4_1] = ENTRIES(Q4_1),
        [MARTLET_WEIGHTS_Q5_0] = ENTRIES(Q5_0), [MARTLET_WEIGHTS_Q5_1] = ENTRIES(Q5_1),
        [MARTLET_WEIGHTS_Q8_0] = ENTRIES(Q8_0), [MARTLET_WEIGHTS_Q4_K] = ENTRIES(Q4_K),
        [MARTLET_WEIGHTS_Q5_K] = ENTRIES(Q5_K), [MARTLET_WEIGHTS_Q6_K] = ENTRIES(Q6_K)},
    .prepare = NAME(prepare)};
