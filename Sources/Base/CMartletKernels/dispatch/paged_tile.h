// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Attention of a tile of rows in vectors of 16: TARGET, NAME, HALVES(pointer) (16 f16 to floats)
// and, where tiles are compiled for each size, SIZED are whoever includes this's.
//
// Keys are taken in chunks at fixed positions, and every row's sums run in the same order whatever
// the tile holds besides: what a row yields does not depend on its company.
#include "paged.h"

// Wide vectors only pass between functions that are inlined.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float NAME(floats) __attribute__((ext_vector_type(16)));
typedef int32_t NAME(words) __attribute__((ext_vector_type(16)));
typedef uint32_t NAME(wide) __attribute__((ext_vector_type(16)));
typedef uint16_t NAME(narrow) __attribute__((ext_vector_type(16)));
typedef int8_t NAME(bytes) __attribute__((ext_vector_type(16)));
#define F NAME(floats)
#define T F
#define I NAME(words)
#define V(X) NAME(v_##X)
#include "vector_math.h"

#ifdef SIZED
#define FULL _Pragma("clang loop unroll(full)")
#else
#define FULL
#endif

TARGET MARTLET_INLINE F NAME(load)(martlet_dtype type, const char *base, int64_t at) {
    F y;
    if (type == MARTLET_F32) {
        memcpy(&y, base + at * 4, 64);
        return y;
    }
    if (type == MARTLET_F16) return HALVES((const uint16_t *)base + at);
    if (type == MARTLET_I8) {
        NAME(bytes) whole;
        memcpy(&whole, base + at, 16);
        return __builtin_convertvector(__builtin_convertvector(whole, I), F);
    }
    NAME(narrow) bits;
    memcpy(&bits, base + at * 2, 32);
    NAME(wide) words = __builtin_convertvector(bits, NAME(wide)) << 16;
    memcpy(&y, &words, 64);
    return y;
}

// The vector with zeros where a head's values end.
TARGET MARTLET_INLINE F NAME(load_some)(
    martlet_dtype type, const char *base, int64_t at, int64_t count) {
    F y = (F)(0.0f);
    for (int i = 0; i < count; i++)
        y[i] = type == MARTLET_F32    ? ((const float *)base)[at + i]
               : type == MARTLET_I8   ? (float)((const int8_t *)base)[at + i]
               : type == MARTLET_F16  ? martlet_of_f16(((const uint16_t *)base)[at + i])
                                      : martlet_of_bf16(((const uint16_t *)base)[at + i]);
    return y;
}

// The scores of a chunk's keys.
TARGET MARTLET_INLINE void NAME(scores)(
    martlet_dtype type, const int n, const martlet_paged_tile *t, const float *turned,
    int64_t chunk, int64_t end, float scores[][MARTLET_PAGED_CHUNK]) {
    const martlet_cache *c = &t->args->cache;
    int64_t size = c->head_size;
    for (int64_t p = chunk; p < end; p += MARTLET_CACHE_BLOCK) {
        const char *keys = martlet_paged_head(t, type, c->keys, p);
        F even[MARTLET_PAGED_ROWS], odd[MARTLET_PAGED_ROWS];
        FULL for (int i = 0; i < n; i++) even[i] = odd[i] = (F)(0.0f);
        int64_t d = 0;
        for (; d + 2 <= size; d += 2) {
            F first = NAME(load)(type, keys, d * 16), second = NAME(load)(type, keys, d * 16 + 16);
            const float *q = turned + d * n;
            FULL for (int i = 0; i < n; i++) {
                even[i] += first * q[i];
                odd[i] += second * q[n + i];
            }
        }
        if (d < size) {
            F first = NAME(load)(type, keys, d * 16);
            FULL for (int i = 0; i < n; i++) even[i] += first * turned[d * n + i];
        }
        F scales = (F)(1.0f);
        if (type == MARTLET_I8) memcpy(&scales, martlet_paged_scales(t, c->keys, p), 64);
        FULL for (int i = 0; i < n; i++) {
            F sum = even[i] + odd[i];
            if (type == MARTLET_I8) sum *= scales;
            memcpy(scores[i] + (p - chunk), &sum, 64);
        }
    }
}

// Hides what a row does not see, and everything past the chunk's end.
TARGET MARTLET_INLINE void NAME(hide)(
    float *scores, int64_t chunk, int64_t padded, int64_t from, int64_t to) {
    for (int64_t i = 0; i < from - chunk && i < padded; i++) scores[i] = -INFINITY;
    for (int64_t i = to > chunk ? to - chunk : 0; i < padded; i++) scores[i] = -INFINITY;
}

TARGET MARTLET_INLINE float NAME(most)(F x) {
    float most = x[0];
    for (int i = 1; i < 16; i++) most = x[i] > most ? x[i] : most;
    return most;
}

TARGET MARTLET_INLINE float NAME(total)(F x) {
    float room[16];
    memcpy(room, &x, 64);
    for (int width = 8; width > 0; width /= 2)
        for (int i = 0; i < width; i++) room[i] += room[i + width];
    return room[0];
}

// Scores to shares of the running sum; gives the factor for what was summed before.
TARGET MARTLET_INLINE float NAME(share)(
    float *scores, int64_t padded, float softcap, float *most, float *sum) {
    F x, best = (F)(-INFINITY);
    for (int64_t i = 0; i < padded; i += 16) {
        memcpy(&x, scores + i, 64);
        if (softcap > 0) {
            F capped = softcap * V(tanh)(x * (1 / softcap));
            // What is hidden stays hidden.
            x = x == (F)(-INFINITY) ? x : capped;
            memcpy(scores + i, &x, 64);
        }
        best = x > best ? x : best;
    }
    float now = NAME(most)(best);
    now = now > *most ? now : *most;
    if (now == -INFINITY) {
        memset(scores, 0, (size_t)padded * sizeof(float));
        return 1;
    }
    F total = (F)(0.0f);
    for (int64_t i = 0; i < padded; i += 16) {
        memcpy(&x, scores + i, 64);
        x = V(exp_negative)(x - now);
        total += x;
        memcpy(scores + i, &x, 64);
    }
    float factor = *most == now ? 1 : V(exp_negative)((F)(*most - now))[0];
    *sum = *sum * factor + NAME(total)(total);
    *most = now;
    return factor;
}

// Shares to factors of 8-bit values.
TARGET MARTLET_INLINE void NAME(scale)(
    const martlet_paged_tile *t, int64_t chunk, int64_t end, float *scores) {
    for (int64_t p = chunk; p < end; p += MARTLET_CACHE_BLOCK) {
        F x, scales;
        memcpy(&x, scores + (p - chunk), 64);
        memcpy(&scales, martlet_paged_scales(t, t->args->cache.values, p), 64);
        x *= scales;
        memcpy(scores + (p - chunk), &x, 64);
    }
}

// Adds a chunk's values, vectors [v, v + w) of a head, to the sums.
TARGET MARTLET_INLINE void NAME(gather)(
    martlet_dtype type, const int n, const int w, int64_t v, const martlet_paged_tile *t,
    int64_t chunk, int64_t end, const float scores[][MARTLET_PAGED_CHUNK], const float *factors,
    float *sums) {
    const martlet_cache *c = &t->args->cache;
    int64_t size = c->head_size;
    int64_t row = martlet_round_up(size, 16), rest = size - v * 16;
    F acc[MARTLET_PAGED_ROWS * 4];
    FULL for (int i = 0; i < n; i++)
        FULL for (int u = 0; u < w; u++) {
            memcpy(&acc[i * w + u], sums + i * row + (v + u) * 16, 64);
            acc[i * w + u] *= factors[i];
        }
    for (int64_t p = chunk; p < end; p += MARTLET_CACHE_BLOCK) {
        const char *values = martlet_paged_head(t, type, c->values, p);
        int64_t count = martlet_min(MARTLET_CACHE_BLOCK, end - p);
        for (int64_t key = 0; key < count; key++) {
            F x[4];
            FULL for (int u = 0; u < w; u++)
                x[u] = rest < 16 ? NAME(load_some)(type, values, key * size + v * 16, rest)
                                 : NAME(load)(type, values, key * size + (v + u) * 16);
            FULL for (int i = 0; i < n; i++)
                FULL for (int u = 0; u < w; u++)
                    acc[i * w + u] += x[u] * scores[i][p - chunk + key];
        }
    }
    FULL for (int i = 0; i < n; i++)
        FULL for (int u = 0; u < w; u++)
            memcpy(sums + i * row + (v + u) * 16, &acc[i * w + u], 64);
}

TARGET MARTLET_INLINE void NAME(tile)(
    martlet_dtype type, const int n, const martlet_paged_tile *t) {
    const martlet_paged_args *a = t->args;
    int64_t size = a->cache.head_size, row = martlet_round_up(size, 16);
    float turned[MARTLET_HEAD_SIZE_MAX * MARTLET_PAGED_ROWS];
    float sums[MARTLET_HEAD_SIZE_MAX * MARTLET_PAGED_ROWS];
    float scores[MARTLET_PAGED_ROWS][MARTLET_PAGED_CHUNK];
    float most[MARTLET_PAGED_ROWS], total[MARTLET_PAGED_ROWS], factors[MARTLET_PAGED_ROWS];
    int64_t first = INT64_MAX, end = 0;
    for (int i = 0; i < n; i++) {
        most[i] = -INFINITY;
        total[i] = 0;
        for (int64_t d = 0; d < size; d++)
            turned[d * n + i] = i < t->count ? t->q[i][d] * a->scale : 0;
        if (i >= t->count) continue;
        first = martlet_min(first, t->from[i]);
        end = martlet_max(end, t->to[i]);
    }
    memset(sums, 0, (size_t)(n * row) * sizeof(float));
    for (int64_t chunk = first / MARTLET_PAGED_CHUNK * MARTLET_PAGED_CHUNK; chunk < end;
         chunk += MARTLET_PAGED_CHUNK) {
        int64_t stop = martlet_min(chunk + MARTLET_PAGED_CHUNK, end);
        int64_t padded = martlet_round_up(stop - chunk, 16);
        NAME(scores)(type, n, t, turned, chunk, stop, scores);
        for (int i = 0; i < n; i++) {
            int real = i < t->count;
            NAME(hide)(scores[i], chunk, padded, real ? t->from[i] : 0, real ? t->to[i] : stop);
            factors[i] = NAME(share)(scores[i], padded, a->softcap, &most[i], &total[i]);
            if (type == MARTLET_I8) NAME(scale)(t, chunk, stop, scores[i]);
        }
        int64_t vectors = row / 16, v = 0;
        const int w = n > 6 ? 2 : 4;
        if (size % 16 == 0)
            for (; v + w <= vectors; v += w)
                NAME(gather)(type, n, w, v, t, chunk, stop, scores, factors, sums);
        for (; v < vectors; v++)
            NAME(gather)(type, n, 1, v, t, chunk, stop, scores, factors, sums);
    }
    for (int i = 0; i < t->count; i++) {
        float inverse = total[i] > 0 || total[i] != total[i] ? 1 / total[i] : 0;
        for (int64_t d = 0; d < size; d++) t->o[i][d] = sums[i * row + d] * inverse;
    }
}

#ifdef SIZED
#define SIZE(TYPE, N) case N: NAME(tile)(TYPE, N, t); break
#define SIZES(TYPE)                                                                            \
    TARGET static void NAME(TYPE)(const martlet_paged_tile *t) {                               \
        switch (t->size) {                                                                     \
            SIZE(TYPE, 1); SIZE(TYPE, 2); SIZE(TYPE, 3); SIZE(TYPE, 4); SIZE(TYPE, 6);         \
            SIZE(TYPE, 8);                                                                     \
        default: NAME(tile)(TYPE, MARTLET_PAGED_ROWS, t); break;                               \
        }                                                                                      \
    }
#else
#define SIZES(TYPE)                                                                            \
    TARGET static void NAME(TYPE)(const martlet_paged_tile *t) { NAME(tile)(TYPE, t->size, t); }
#endif
SIZES(MARTLET_F32) SIZES(MARTLET_F16) SIZES(MARTLET_BF16) SIZES(MARTLET_I8)

TARGET static void NAME(paged)(const martlet_paged_tile *t) {
    switch (t->args->cache.type) {
    case MARTLET_F32: NAME(MARTLET_F32)(t); break;
    case MARTLET_F16: NAME(MARTLET_F16)(t); break;
    case MARTLET_I8: NAME(MARTLET_I8)(t); break;
    default: NAME(MARTLET_BF16)(t); break;
    }
}
const martlet_paged_function NAME(martlet_paged) = NAME(paged);
