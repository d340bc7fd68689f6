// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/rows.h"

#if defined(MARTLET_X86)
#include <immintrin.h>

#define TARGET                                                                                 \
    __attribute__((target(                                                                     \
        "avx512f,avx512bw,avx512vl,avx512dq,fma,f16c,avx512vnni,avx512bf16")))
typedef float floats_16 __attribute__((ext_vector_type(16)));
typedef int32_t words_16 __attribute__((ext_vector_type(16)));
#define T floats_16
#define I words_16
#define V(X) rows512_##X
#include "../dispatch/vector_math.h"

#define FULL _Pragma("clang loop unroll(full)")

// --- Beginning and ending a tile

TARGET MARTLET_INLINE void begin(const int n, const martlet_rows_tile *t, __m512 f[]) {
    __mmask16 mask = (__mmask16)((1u << t->columns) - 1);
    FULL for (int i = 0; i < n; i++)
        f[i] = !t->first && i < t->stored ? _mm512_maskz_loadu_ps(mask, t->c + i * t->c_stride)
                                          : _mm512_setzero_ps();
}

TARGET MARTLET_INLINE void end(const int n, const martlet_rows_tile *t, __m512 f[]) {
    __mmask16 mask = (__mmask16)((1u << t->columns) - 1);
    __m512 bias = t->last && t->bias ? _mm512_maskz_loadu_ps(mask, t->bias) : _mm512_setzero_ps();
    FULL for (int i = 0; i < n; i++) {
        if (i >= t->stored) break;
        __m512 x = f[i];
        if (t->last) {
            if (t->bias) x = _mm512_add_ps(x, bias);
            if (t->cap > 0)
                x = (__m512)(t->cap * rows512_tanh((floats_16)x * (1 / t->cap)));
            if (t->residual)
                x = _mm512_add_ps(
                    x, _mm512_maskz_loadu_ps(mask, t->residual + i * t->residual_stride));
        }
        _mm512_mask_storeu_ps(t->c + i * t->c_stride, mask, x);
    }
}

// --- Quantised panels

TARGET MARTLET_INLINE void unpack(const martlet_weights type, const uint8_t *v, __m512i w[8]) {
    if (type == MARTLET_WEIGHTS_Q8_0) {
        FULL for (int i = 0; i < 8; i++) w[i] = _mm512_loadu_si512(v + 64 * i);
        return;
    }
    const __m512i low = _mm512_set1_epi8(15);
    FULL for (int i = 0; i < 4; i++) {
        __m512i x = _mm512_loadu_si512(v + 64 * i);
        w[i] = _mm512_and_si512(x, low);
        w[i + 4] = _mm512_and_si512(_mm512_srli_epi16(x, 4), low);
    }
    // Or-and in one: a | (b & c).
    if (type == MARTLET_WEIGHTS_Q5_0 || type == MARTLET_WEIGHTS_Q5_1 ||
        type == MARTLET_WEIGHTS_Q5_K) {
        const __m512i bit = _mm512_set1_epi8(16);
        __m512i h = _mm512_loadu_si512(v + 256);
        FULL for (int i = 0; i < 8; i++) {
            __m512i moved = i < 4 ? _mm512_slli_epi16(h, 4 - i) : _mm512_srli_epi16(h, i - 4);
            w[i] = _mm512_ternarylogic_epi32(w[i], moved, bit, 0xf8);
        }
    } else if (type == MARTLET_WEIGHTS_Q6_K) {
        const __m512i bits = _mm512_set1_epi8(48);
        FULL for (int i = 0; i < 8; i++) {
            __m512i h = _mm512_loadu_si512(v + 256 + i / 4 * 64);
            __m512i moved = i % 4 < 2 ? _mm512_slli_epi16(h, 4 - i % 4 * 2)
                                      : _mm512_srli_epi16(h, i % 4 * 2 - 4);
            w[i] = _mm512_ternarylogic_epi32(w[i], moved, bits, 0xf8);
        }
    }
}

TARGET MARTLET_INLINE __m512 halves_at(const uint8_t *x) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)x));
}

// The scale of 16 outputs' group; second is -minimum, or the scale of the second half.
TARGET MARTLET_INLINE __m512 scales_at(
    const martlet_weights type, const uint8_t *s, int64_t g, __m512 *second) {
    switch (type) {
    case MARTLET_WEIGHTS_Q4_1: case MARTLET_WEIGHTS_Q5_1:
        *second = halves_at(s + g % 2 * 64 + 32);
        return halves_at(s + g % 2 * 64);
    case MARTLET_WEIGHTS_Q4_K: case MARTLET_WEIGHTS_Q5_K: {
        const __m128i *six = (const __m128i *)(s + 64 + g % 8 * 32);
        __m512 scale = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(six)));
        __m512 least = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(six + 1)));
        *second = _mm512_mul_ps(
            _mm512_xor_ps(halves_at(s + 32), _mm512_set1_ps(-0.0f)), least);
        return _mm512_mul_ps(halves_at(s), scale);
    }
    case MARTLET_WEIGHTS_Q6_K: {
        const __m128i *eight = (const __m128i *)(s + 32 + g % 8 * 32);
        __m512 d = halves_at(s);
        *second = _mm512_mul_ps(
            d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(eight + 1))));
        return _mm512_mul_ps(
            d, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(eight))));
    }
    default:
        *second = _mm512_setzero_ps();
        return halves_at(s + g % 2 * 32);
    }
}

TARGET MARTLET_INLINE void group(
    const martlet_weights type, const int n, const martlet_rows_tile *t, int64_t g, int64_t place,
    const uint8_t *cluster, __m512 f[]) {
    const int has_least = type == MARTLET_WEIGHTS_Q4_1 || type == MARTLET_WEIGHTS_Q5_1 ||
                          type == MARTLET_WEIGHTS_Q4_K || type == MARTLET_WEIGHTS_Q5_K;
    __m512i w[8];
    __m512 second, scale = scales_at(
        type, cluster + martlet_panel_cluster(type) * martlet_panel_value_bytes(type), place,
        &second);
    unpack(type, cluster + place * martlet_panel_value_bytes(type), w);
    const int8_t *a = (const int8_t *)t->rows + g * n * 32;
    const martlet_row_group *r = t->groups + g * n;
    FULL for (int i = 0; i < n; i++) {
        __m512 by = _mm512_set1_ps(r[i].scale);
        __m512i sum = has_least ? _mm512_setzero_si512() : _mm512_set1_epi32(r[i].start);
        __m512i high = type == MARTLET_WEIGHTS_Q6_K ? _mm512_set1_epi32(r[i].high_start)
                                                    : _mm512_setzero_si512();
        FULL for (int q = 0; q < 8; q++) {
            int32_t quad;
            memcpy(&quad, a + i * 32 + q * 4, 4);
            __m512i *to = type == MARTLET_WEIGHTS_Q6_K && q >= 4 ? &high : &sum;
            *to = _mm512_dpbusd_epi32(*to, w[q], _mm512_set1_epi32(quad));
        }
        f[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(scale, by), f[i]);
        if (type == MARTLET_WEIGHTS_Q6_K)
            f[i] = _mm512_fmadd_ps(
                _mm512_cvtepi32_ps(high), _mm512_mul_ps(second, by), f[i]);
        if (has_least) f[i] = _mm512_fmadd_ps(second, _mm512_set1_ps(r[i].sum), f[i]);
    }
}

TARGET MARTLET_INLINE void blocks(
    const martlet_weights type, const int n, const martlet_rows_tile *t) {
    __m512 f[12];
    begin(n, t, f);
    const int few = n <= 2;
    // Where few rows are multiplied whole clusters go by: each load then has a stride of its own,
    // which the processor's prefetchers learn.
    int64_t g = t->from;
    const int cluster = (int)martlet_panel_cluster(type);
    if (few) {
        const uint8_t *v = t->values + martlet_panel_values_at(type, g);
        for (; g + cluster <= t->to; g += cluster, v += martlet_panel_cluster_bytes(type)) {
            FULL for (int u = 0; u < cluster; u++)
                group(type, n, t, g + u, u, v, f);
        }
    }
    for (; g < t->to; g++)
        group(type, n, t, g, g % cluster,
              t->values + g / cluster * martlet_panel_cluster_bytes(type), f);
    end(n, t, f);
}

// --- Plain panels: two sums a row, of even and of odd inputs

TARGET MARTLET_INLINE void plain(
    const martlet_weights type, const int n, const martlet_rows_tile *t) {
    __m512 even[12], odd[12];
    begin(n, t, even);
    FULL for (int i = 0; i < n; i++) odd[i] = _mm512_setzero_ps();
    const int64_t bytes = martlet_panel_value_bytes(type) / 16;
    const uint8_t *v = t->values + t->from * 16 * bytes;
    const float *a = (const float *)t->rows + t->from * 32 * n;
    for (int64_t p = t->from * 16; p < t->to * 16; p++, v += bytes, a += 2 * n) {
        __m512 first, second;
        if (type == MARTLET_WEIGHTS_F32) {
            first = _mm512_loadu_ps(v);
            second = _mm512_loadu_ps(v + 64);
        } else if (type == MARTLET_WEIGHTS_F16) {
            first = halves_at(v);
            second = halves_at(v + 32);
        } else {
            __m512i pair = _mm512_loadu_si512(v);
            first = _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16));
            second = _mm512_castsi512_ps(
                _mm512_and_si512(pair, _mm512_set1_epi32((int32_t)0xffff0000)));
        }
        FULL for (int i = 0; i < n; i++) {
            even[i] = _mm512_fmadd_ps(first, _mm512_set1_ps(a[i]), even[i]);
            odd[i] = _mm512_fmadd_ps(second, _mm512_set1_ps(a[n + i]), odd[i]);
        }
    }
    FULL for (int i = 0; i < n; i++) even[i] = _mm512_add_ps(even[i], odd[i]);
    end(n, t, even);
}

TARGET MARTLET_INLINE void halves(const int n, const martlet_rows_tile *t) {
    __m512 even[12], odd[12];
    begin(n, t, even);
    FULL for (int i = 0; i < n; i++) odd[i] = _mm512_setzero_ps();
    const uint8_t *v = t->values + t->from * 1024;
    const int32_t *a = (const int32_t *)t->rows + t->from * 16 * n;
    for (int64_t p = t->from * 8; p < t->to * 8; p++, v += 128, a += 2 * n) {
        __m512bh first = (__m512bh)_mm512_loadu_si512(v);
        __m512bh second = (__m512bh)_mm512_loadu_si512(v + 64);
        FULL for (int i = 0; i < n; i++) {
            even[i] = _mm512_dpbf16_ps(even[i], first, (__m512bh)_mm512_set1_epi32(a[i]));
            odd[i] = _mm512_dpbf16_ps(odd[i], second, (__m512bh)_mm512_set1_epi32(a[n + i]));
        }
    }
    FULL for (int i = 0; i < n; i++) even[i] = _mm512_add_ps(even[i], odd[i]);
    end(n, t, even);
}

// --- The table

#define BLOCKS(TYPE, N)                                                                        \
    TARGET static void TYPE##_##N(const martlet_rows_tile *t) {                                \
        blocks(MARTLET_WEIGHTS_##TYPE, N, t);                                                  \
    }
#define PLAIN(TYPE, N)                                                                         \
    TARGET static void TYPE##_##N(const martlet_rows_tile *t) {                                \
        plain(MARTLET_WEIGHTS_##TYPE, N, t);                                                   \
    }
#define SIZES(KIND, TYPE)                                                                      \
    KIND(TYPE, 1) KIND(TYPE, 2) KIND(TYPE, 3) KIND(TYPE, 4) KIND(TYPE, 6) KIND(TYPE, 8)        \
    KIND(TYPE, 12)
#define HALVES(TYPE, N)                                                                        \
    TARGET static void TYPE##_##N(const martlet_rows_tile *t) { halves(N, t); }
SIZES(BLOCKS, Q4_0) SIZES(BLOCKS, Q4_1) SIZES(BLOCKS, Q5_0) SIZES(BLOCKS, Q5_1)
SIZES(BLOCKS, Q8_0) SIZES(BLOCKS, Q4_K) SIZES(BLOCKS, Q5_K) SIZES(BLOCKS, Q6_K)
SIZES(PLAIN, F32) SIZES(PLAIN, F16) SIZES(PLAIN, BF16) SIZES(HALVES, PAIRS)

#define ENTRIES(TYPE)                                                                          \
    {[1] = TYPE##_1, [2] = TYPE##_2, [3] = TYPE##_3, [4] = TYPE##_4, [6] = TYPE##_6,           \
     [8] = TYPE##_8, [12] = TYPE##_12}
const martlet_rows_table martlet_rows_avx512 = {
    .floats = {ENTRIES(F32), ENTRIES(F16), ENTRIES(BF16)},
    .halves = ENTRIES(PAIRS),
    .blocks = {
        [MARTLET_WEIGHTS_Q4_0] = ENTRIES(Q4_0), [MARTLET_WEIGHTS_Q4_1] = ENTRIES(Q4_1),
        [MARTLET_WEIGHTS_Q5_0] = ENTRIES(Q5_0), [MARTLET_WEIGHTS_Q5_1] = ENTRIES(Q5_1),
        [MARTLET_WEIGHTS_Q8_0] = ENTRIES(Q8_0), [MARTLET_WEIGHTS_Q4_K] = ENTRIES(Q4_K),
        [MARTLET_WEIGHTS_Q5_K] = ENTRIES(Q5_K), [MARTLET_WEIGHTS_Q6_K] = ENTRIES(Q6_K)},
    .prepare = martlet_rows_prepare_avx512};
#endif
