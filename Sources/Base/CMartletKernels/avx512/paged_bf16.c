// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Attention over blocks with both products in bf16. Keys and values of a chunk are turned into
// pairs of bf16 once and met by up to 8 tiles of 12 rows.
//
// A chunk's size follows from the head's alone, and every row's sums run in the same order whatever
// else there is: what a row yields does not depend on its company.
#include "../dispatch/paged.h"

#if defined(MARTLET_X86)
#include <immintrin.h>

#define TARGET                                                                                 \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,f16c,avx512bf16")))
typedef float floats_16 __attribute__((ext_vector_type(16)));
typedef int32_t words_16 __attribute__((ext_vector_type(16)));
#define T floats_16
#define I words_16
#define V(X) paged512_##X
#include "../dispatch/vector_math.h"

#define FULL _Pragma("clang loop unroll(full)")
enum { ROWS = MARTLET_PAGED_ROWS, CHUNK = 256, PAIRS = 8192, VALUES = 6144 };

typedef struct {
    _Alignas(64) uint32_t keys[PAIRS];    // [block][pair of head values][16 positions]
    uint32_t values[PAIRS];               // [pair of positions][head value]
    uint32_t q[VALUES / 2];               // [tile][pair of head values][row]
    float sums[VALUES];                   // [tile][row][head value]
    float scores[ROWS][CHUNK];
    uint32_t shares[ROWS][CHUNK / 2];     // pairs of bf16
    float most[VALUES / 16], total[VALUES / 16], factors[ROWS];
} room;

// --- Pairs

// (a[i], b[i]) as bf16, of 16 values each; without b zeros.
TARGET MARTLET_INLINE __m512i paired(martlet_dtype type, const char *a, const char *b) {
    const __m512i order = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
        19, 3, 18, 2, 17, 1, 16, 0);
    __m512i both;
    if (type == MARTLET_BF16) {
        __m256i second = b ? _mm256_loadu_si256((const __m256i *)b) : _mm256_setzero_si256();
        both = _mm512_inserti64x4(
            _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)a)), second, 1);
    } else {
        __m512 first, second = _mm512_setzero_ps();
        if (type == MARTLET_F16) {
            first = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)a));
            if (b) second = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)b));
        } else {
            first = _mm512_cvtepi32_ps(
                _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)a)));
            if (b)
                second = _mm512_cvtepi32_ps(
                    _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)b)));
        }
        both = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    }
    return _mm512_permutexvar_epi16(order, both);
}

// What is read AHEAD positions later: blocks are too short for the processor to see that coming.
// After the keys come the chunk's values, after those the next keys.
enum { AHEAD = 32 };
TARGET MARTLET_INLINE const char *later(
    martlet_dtype type, const martlet_paged_tile *t, int64_t p, int64_t chunk, int64_t stop,
    int64_t end, int is_keys) {
    const martlet_cache *c = &t->args->cache;
    const void *same = is_keys ? c->keys : c->values, *other = is_keys ? c->values : c->keys;
    p += AHEAD;
    if (p < stop) return martlet_paged_head(t, type, same, p);
    p += (is_keys ? chunk : stop) - martlet_round_up(stop, 16);
    return martlet_paged_head(t, type, p < end ? other : same, martlet_min(p, end - 1));
}

TARGET MARTLET_INLINE void gather_pairs(
    martlet_dtype type, const martlet_paged_tile *t, int64_t chunk, int64_t stop, int64_t end,
    room *r) {
    const martlet_cache *c = &t->args->cache;
    int64_t size = c->head_size, bytes = type == MARTLET_I8 ? 1 : 2;
    for (int64_t p = chunk; p < stop; p += 16) {
        const char *keys = martlet_paged_head(t, type, c->keys, p);
        const char *next = later(type, t, p, chunk, stop, end, 1);
        uint32_t *to = r->keys + (p - chunk) * size / 2;
        for (int64_t d = 0; d < size; d += 2, to += 16) {
            _mm_prefetch(next + 16 * d * bytes, _MM_HINT_T0);
            const char *at = keys + 16 * d * bytes;
            _mm512_storeu_si512(to, paired(type, at, at + 16 * bytes));
        }
    }
    for (int64_t p = chunk; p < stop; p += 16) {
        const char *values = martlet_paged_head(t, type, c->values, p);
        const char *next = later(type, t, p, chunk, stop, end, 0);
        int64_t count = martlet_min(16, stop - p);
        uint32_t *to = r->values + (p - chunk) / 2 * size;
        for (int64_t key = 0; key < count; key += 2)
            for (int64_t d = 0; d < size; d += 16, to += 16) {
                const char *at = values + (key * size + d) * bytes;
                _mm_prefetch(next + (key * size + d * 2) * bytes, _MM_HINT_T0);
                _mm512_storeu_si512(
                    to, paired(type, at, key + 1 < count ? at + size * bytes : NULL));
            }
    }
}

// --- A tile

// The scores of b blocks' keys.
TARGET MARTLET_INLINE void score(
    const int n, const int b, int64_t pairs, const uint32_t *q, const uint32_t *keys,
    float scores[][CHUNK]) {
    __m512 sums[ROWS];
    FULL for (int i = 0; i < n * b; i++) sums[i] = _mm512_setzero_ps();
    for (int64_t d = 0; d < pairs; d++) {
        __m512bh x[4];
        FULL for (int u = 0; u < b; u++)
            x[u] = (__m512bh)_mm512_loadu_si512(keys + (u * pairs + d) * 16);
        FULL for (int i = 0; i < n; i++)
            FULL for (int u = 0; u < b; u++)
                sums[i * b + u] = _mm512_dpbf16_ps(
                    sums[i * b + u], x[u], (__m512bh)_mm512_set1_epi32((int32_t)q[d * n + i]));
    }
    FULL for (int i = 0; i < n; i++)
        FULL for (int u = 0; u < b; u++) _mm512_storeu_ps(scores[i] + 16 * u, sums[i * b + u]);
}

// Hides what a row does not see, and everything past the chunk's end.
TARGET MARTLET_INLINE void hide(
    float *scores, int64_t chunk, int64_t padded, int64_t from, int64_t to) {
    for (int64_t i = 0; i < from - chunk && i < padded; i++) scores[i] = -INFINITY;
    for (int64_t i = to > chunk ? to - chunk : 0; i < padded; i++) scores[i] = -INFINITY;
}

// Scores to shares of the running sum, as pairs; gives the factor for what was summed before.
TARGET MARTLET_INLINE float share(
    martlet_dtype type, const martlet_paged_tile *t, int64_t chunk, int64_t stop,
    float *scores, uint32_t *shares, float *most, float *sum) {
    int64_t padded = martlet_round_up(stop - chunk, 32);
    const martlet_paged_args *a = t->args;
    __m512 best = _mm512_set1_ps(-INFINITY);
    for (int64_t i = 0; i < padded; i += 16) {
        floats_16 x = (floats_16)_mm512_loadu_ps(scores + i);
        if (a->softcap > 0) {
            floats_16 capped = a->softcap * paged512_tanh(x * (1 / a->softcap));
            // What is hidden stays hidden.
            x = x == (floats_16)(-INFINITY) ? x : capped;
            _mm512_storeu_ps(scores + i, (__m512)x);
        }
        best = _mm512_max_ps((__m512)x, best);
    }
    float now = _mm512_reduce_max_ps(best);
    now = now > *most ? now : *most;
    if (now == -INFINITY) {
        memset(shares, 0, (size_t)padded * 2);
        return 1;
    }
    floats_16 total = (floats_16)(0.0f);
    for (int64_t i = 0; i < padded; i += 32) {
        floats_16 x[2];
        FULL for (int h = 0; h < 2; h++) {
            __m512 raised = _mm512_sub_ps(
                _mm512_loadu_ps(scores + i + 16 * h), _mm512_set1_ps(now));
            __mmask16 counts = _mm512_cmp_ps_mask(raised, _mm512_set1_ps(-87.0f), _CMP_GE_OQ);
            // Nothing, or a NaN, where the exponential says neither.
            __m512 other = _mm512_max_ps(_mm512_setzero_ps(), raised);
            x[h] = paged512_exp_rough((floats_16)raised);
            if (type == MARTLET_I8) {
                total += (floats_16)_mm512_mask_blend_ps(counts, other, (__m512)x[h]);
                // Of 8-bit values the shares take their scales along.
                int64_t p = chunk + i + 16 * h;
                if (p < stop)
                    x[h] *= (floats_16)_mm512_loadu_ps(
                        martlet_paged_scales(t, a->cache.values, p));
            }
            x[h] = (floats_16)_mm512_mask_blend_ps(counts, other, (__m512)x[h]);
        }
        __m512i pairs = (__m512i)_mm512_cvtne2ps_pbh((__m512)x[1], (__m512)x[0]);
        _mm512_storeu_si512(shares + i / 2, pairs);
        if (type == MARTLET_I8) continue;
        // What is summed is what was rounded: the shares then add up to one.
        total += (floats_16)_mm512_slli_epi32(pairs, 16);
        total += (floats_16)_mm512_and_si512(pairs, _mm512_set1_epi32((int32_t)0xffff0000));
    }
    floats_16 gone = (floats_16)_mm512_set1_ps(*most - now);
    float factor = *most == now ? 1 : *most == -INFINITY ? 0 : paged512_exp_negative(gone)[0];
    *sum = *sum * factor + _mm512_reduce_add_ps((__m512)total);
    *most = now;
    return factor;
}

// Adds the values of pairs of positions, vectors [v, v + w) of a head, to the sums.
TARGET MARTLET_INLINE void add_values(
    const int n, const int w, int64_t v, int64_t size, int64_t pairs, const room *r,
    float *sums) {
    __m512 acc[24];
    FULL for (int i = 0; i < n; i++)
        FULL for (int u = 0; u < w; u++)
            acc[i * w + u] = _mm512_mul_ps(
                _mm512_loadu_ps(sums + i * size + (v + u) * 16), _mm512_set1_ps(r->factors[i]));
    const uint32_t *values = r->values + v * 16;
    for (int64_t p = 0; p < pairs; p++, values += size) {
        __m512bh x[4];
        FULL for (int u = 0; u < w; u++) x[u] = (__m512bh)_mm512_loadu_si512(values + 16 * u);
        FULL for (int i = 0; i < n; i++) {
            __m512bh by = (__m512bh)_mm512_set1_epi32((int32_t)r->shares[i][p]);
            FULL for (int u = 0; u < w; u++)
                acc[i * w + u] = _mm512_dpbf16_ps(acc[i * w + u], x[u], by);
        }
    }
    FULL for (int i = 0; i < n; i++)
        FULL for (int u = 0; u < w; u++)
            _mm512_storeu_ps(sums + i * size + (v + u) * 16, acc[i * w + u]);
}

// Rows [first, first + n) of the strip against a chunk; first_row is the slice's row of each.
TARGET MARTLET_INLINE void meet(
    martlet_dtype type, const int n, const martlet_paged_tile *t, int64_t chunk, int64_t stop,
    const uint32_t *q, float *sums, float *most, float *total, room *r) {
    int64_t size = t->args->cache.head_size, blocks = martlet_ceil_div(stop - chunk, 16);
    int64_t padded = martlet_round_up(stop - chunk, 32), b = 0, pairs = size / 2;
    const int several = n <= 3 ? 4 : n == 4 ? 3 : n == 6 ? 2 : 1;
    float(*scores)[CHUNK] = r->scores;
    for (; b + several <= blocks; b += several) {
        const uint32_t *keys = r->keys + b * size * 8;
        score(n, several, pairs, q, keys, (float(*)[CHUNK])(scores[0] + b * 16));
    }
    for (; b < blocks; b++)
        score(n, 1, pairs, q, r->keys + b * size * 8, (float(*)[CHUNK])(scores[0] + b * 16));
    if (type == MARTLET_I8)
        for (b = 0; b < blocks; b++) {
            __m512 scales = _mm512_loadu_ps(
                martlet_paged_scales(t, t->args->cache.keys, chunk + b * 16));
            FULL for (int i = 0; i < n; i++)
                _mm512_storeu_ps(
                    scores[i] + b * 16,
                    _mm512_mul_ps(_mm512_loadu_ps(scores[i] + b * 16), scales));
        }
    for (int i = 0; i < n; i++) {
        int real = i < t->count;
        hide(scores[i], chunk, padded, real ? t->from[i] : 0, real ? t->to[i] : stop);
        r->factors[i] = share(
            type, t, chunk, stop, scores[i], r->shares[i], most + i, total + i);
    }
    int64_t v = 0, vectors = size / 16, seen = martlet_ceil_div(stop - chunk, 2);
    const int w = n > 6 ? 2 : 4;
    for (; v + w <= vectors; v += w) add_values(n, w, v, size, seen, r, sums);
    for (; v < vectors; v++) add_values(n, 1, v, size, seen, r, sums);
}

TARGET MARTLET_INLINE void meet_sized(
    martlet_dtype type, const martlet_paged_tile *t, int64_t chunk, int64_t stop,
    const uint32_t *q, float *sums, float *most, float *total, room *r) {
#define SIZE(N) case N: meet(type, N, t, chunk, stop, q, sums, most, total, r); break
    switch (t->size) {
        SIZE(1); SIZE(2); SIZE(3); SIZE(4); SIZE(6); SIZE(8);
    default: meet(type, ROWS, t, chunk, stop, q, sums, most, total, r); break;
    }
#undef SIZE
}

// Scaled queries as pairs of bf16, row beside row.
TARGET static void put_queries(const martlet_paged_tile *t, uint32_t *q) {
    int64_t size = t->args->cache.head_size;
    __m512 scale = _mm512_set1_ps(t->args->scale);
    for (int i = 0; i < t->size; i++)
        for (int64_t d = 0; d < size; d += 32) {
            __m512 x[2];
            for (int h = 0; h < 2; h++)
                x[h] = i < t->count && d + 16 * h < size
                           ? _mm512_mul_ps(_mm512_loadu_ps(t->q[i] + d + 16 * h), scale)
                           : _mm512_setzero_ps();
            uint32_t pairs[16];
            _mm512_storeu_si512(pairs, (__m512i)_mm512_cvtne2ps_pbh(x[1], x[0]));
            for (int64_t at = 0; at < 16 && d + 2 * at < size; at++)
                q[(d / 2 + at) * t->size + i] = pairs[at];
        }
}

TARGET MARTLET_INLINE void run(martlet_dtype type, const martlet_paged_strip *strip) {
    int64_t size = strip->args->cache.head_size;
    int64_t chunk_size = martlet_min(CHUNK, 2 * PAIRS / size / 32 * 32);
    int64_t tiles = martlet_ceil_div(strip->count, ROWS), first = INT64_MAX, end = 0;
    martlet_paged_tile t[8];
    int64_t starts[8], ends[8];
    room r;
    memset(r.sums, 0, sizeof(float) * (size_t)(tiles * ROWS * size));
    for (int64_t i = 0; i < tiles; i++) {
        martlet_paged_tile_of(strip, i * ROWS, t + i);
        put_queries(t + i, r.q + i * ROWS * size / 2);
        starts[i] = INT64_MAX;
        ends[i] = 0;
        for (int row = 0; row < t[i].count; row++) {
            starts[i] = martlet_min(starts[i], t[i].from[row]);
            ends[i] = martlet_max(ends[i], t[i].to[row]);
        }
        first = martlet_min(first, starts[i]);
        end = martlet_max(end, ends[i]);
    }
    for (int64_t i = 0; i < tiles * ROWS; i++) {
        r.most[i] = -INFINITY;
        r.total[i] = 0;
    }
    for (int64_t chunk = first / chunk_size * chunk_size; chunk < end; chunk += chunk_size) {
        int64_t stop = martlet_min(chunk + chunk_size, end);
        gather_pairs(type, t, chunk, stop, end, &r);
        for (int64_t i = 0; i < tiles; i++) {
            if (ends[i] <= chunk || starts[i] >= stop) continue;
            meet_sized(
                type, t + i, chunk, martlet_min(stop, ends[i]), r.q + i * ROWS * size / 2,
                r.sums + i * ROWS * size, r.most + i * ROWS, r.total + i * ROWS, &r);
        }
    }
    for (int64_t i = 0; i < tiles; i++)
        for (int row = 0; row < t[i].count; row++) {
            float total = r.total[i * ROWS + row];
            float inverse = total > 0 || total != total ? 1 / total : 0;
            const float *sums = r.sums + (i * ROWS + row) * size;
            for (int64_t d = 0; d < size; d++) t[i].o[row][d] = sums[d] * inverse;
        }
}

TARGET static void run_f16(const martlet_paged_strip *s) { run(MARTLET_F16, s); }
TARGET static void run_bf16(const martlet_paged_strip *s) { run(MARTLET_BF16, s); }
TARGET static void run_i8(const martlet_paged_strip *s) { run(MARTLET_I8, s); }

static void strip(const martlet_paged_strip *s) {
    switch (s->args->cache.type) {
    case MARTLET_F16: run_f16(s); break;
    case MARTLET_BF16: run_bf16(s); break;
    default: run_i8(s); break;
    }
}
const martlet_paged_strip_function martlet_paged_bf16 = strip;
#endif
