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
#define V(X) prepare512_##X
#include "../dispatch/vector_math.h"

#define FULL _Pragma("clang loop unroll(full)")

// Rows made ready for products: normed or gated, then rounded by groups of 32.

TARGET MARTLET_INLINE void load_group(
    const martlet_rows_source source, const martlet_rows_args *a, const float *x, int64_t k,
    float factor, __m512 y[2]) {
    FULL for (int h = 0; h < 2; h++) {
        int64_t at = k + 16 * h, left = a->k - at;
        __mmask16 mask = left >= 16 ? 0xffff : left > 0 ? (__mmask16)((1u << left) - 1) : 0;
        floats_16 v = (floats_16)_mm512_maskz_loadu_ps(mask, x + at);
        if (source == MARTLET_ROWS_NORM)
            v = v * factor * (floats_16)_mm512_maskz_loadu_ps(mask, a->weight + at);
        if (source >= MARTLET_ROWS_SILU) {
            floats_16 up = (floats_16)_mm512_maskz_loadu_ps(mask, x + a->k + at);
            v = source == MARTLET_ROWS_SILU        ? prepare512_silu(v)
                : source == MARTLET_ROWS_GELU_TANH ? prepare512_gelu_tanh(v)
                                                   : prepare512_gelu_erf(v);
            v *= up;
        }
        y[h] = (__m512)v;
    }
}

TARGET MARTLET_INLINE void put_group(
    martlet_rows type, const __m512 y[2], int64_t g, int size, int row, uint8_t *tile,
    martlet_row_group *to) {
    if (type == MARTLET_ROWS_F32) {
        float values[32], *target = (float *)tile + g * 32 * size + row;
        _mm512_storeu_ps(values, y[0]);
        _mm512_storeu_ps(values + 16, y[1]);
        for (int i = 0; i < 32; i++) target[i * size] = values[i];
        return;
    }
    if (type == MARTLET_ROWS_BF16) {
        int32_t pairs[16], *target = (int32_t *)tile + g * 16 * size + row;
        _mm512_storeu_si512(pairs, (__m512i)_mm512_cvtne2ps_pbh(y[1], y[0]));
        for (int i = 0; i < 16; i++) target[i * size] = pairs[i];
        return;
    }
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    // As bit patterns magnitudes compare like integers, with infinities and NaNs above all.
    __m512i most = _mm512_max_epi32(
        _mm512_and_si512(_mm512_castps_si512(y[0]), magnitude),
        _mm512_and_si512(_mm512_castps_si512(y[1]), magnitude));
    int32_t bits = _mm512_reduce_max_epi32(most);
    float largest;
    memcpy(&largest, &bits, 4);
    int finite = largest < INFINITY;
    __m512 inverse = _mm512_set1_ps(finite && largest > 0 ? 127 / largest : 0);
    __m512i low = _mm512_cvtps_epi32(_mm512_mul_ps(y[0], inverse));
    __m512i high = _mm512_cvtps_epi32(_mm512_mul_ps(y[1], inverse));
    if (!finite) low = high = _mm512_setzero_si512();
    int8_t *values = (int8_t *)tile + (g * size + row) * 32;
    _mm_storeu_si128((__m128i *)values, _mm512_cvtsepi32_epi8(low));
    _mm_storeu_si128((__m128i *)(values + 16), _mm512_cvtsepi32_epi8(high));
    int32_t low_sum = _mm512_reduce_add_epi32(low), high_sum = _mm512_reduce_add_epi32(high);
    float scale = finite ? largest / 127 : NAN;
    int32_t zero = martlet_rows_zero(type);
    int split = type == MARTLET_ROWS_INT8_32;
    to[g * size + row] = (martlet_row_group){
        .scale = scale, .sum = scale * (float)(low_sum + high_sum),
        .start = -zero * (split ? low_sum : low_sum + high_sum), .high_start = -zero * high_sum};
}

// Lanes of a and b in turn, each the reduction of two lanes.
#define MIX(REDUCE, WIDTH, A, B)                                                               \
    REDUCE(_mm512_unpacklo_epi##WIDTH(A, B), _mm512_unpackhi_epi##WIDTH(A, B))

// The largest magnitudes, as bits, of 8 groups.
TARGET MARTLET_INLINE __m256i largest_of(const __m512 y[8][2]) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i most[8], fours[4];
    FULL for (int g = 0; g < 8; g++)
        // As bit patterns magnitudes compare like integers, with infinities and NaNs above all.
        most[g] = _mm512_max_epi32(
            _mm512_and_si512(_mm512_castps_si512(y[g][0]), magnitude),
            _mm512_and_si512(_mm512_castps_si512(y[g][1]), magnitude));
    FULL for (int i = 0; i < 4; i++)
        fours[i] = MIX(_mm512_max_epi32, 32, most[2 * i], most[2 * i + 1]);
    __m512i low = MIX(_mm512_max_epi32, 64, fours[0], fours[1]);
    __m512i high = MIX(_mm512_max_epi32, 64, fours[2], fours[3]);
    __m512i all = _mm512_max_epi32(
        _mm512_shuffle_i32x4(low, high, 0x44), _mm512_shuffle_i32x4(low, high, 0xee));
    all = _mm512_max_epi32(all, _mm512_shuffle_i32x4(all, all, 0xb1));
    return _mm512_castsi512_si256(_mm512_shuffle_i32x4(all, all, 0x08));
}

// The sums of the halves of 8 groups' values, 64 bytes for two groups.
TARGET MARTLET_INLINE void halves_of(const __m512i values[4], __m256i *low, __m256i *high) {
    __m512i sums[4];
    FULL for (int i = 0; i < 4; i++)
        sums[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1), values[i]);
    __m512i first = MIX(_mm512_add_epi32, 32, sums[0], sums[1]);
    __m512i second = MIX(_mm512_add_epi32, 32, sums[2], sums[3]);
    // Lane 4 h + i is half h of groups 2 i, where h is 0 or 1, and of 2 i + 1 else.
    __m512i all = MIX(_mm512_add_epi32, 64, first, second);
    const __m512i order =
        _mm512_set_epi32(15, 7, 14, 6, 13, 5, 12, 4, 11, 3, 10, 2, 9, 1, 8, 0);
    all = _mm512_permutexvar_epi32(order, all);
    *low = _mm512_castsi512_si256(all);
    *high = _mm512_extracti64x4_epi64(all, 1);
}

// Eight groups as 8-bit values: what put_group does, in one go.
TARGET MARTLET_INLINE void put_eight(
    martlet_rows type, const __m512 y[8][2], int64_t g, int size, int row, uint8_t *tile,
    martlet_row_group *to) {
    __m256i bits = largest_of(y);
    __m256 largest = _mm256_castsi256_ps(bits);
    __mmask8 finite = _mm256_cmplt_epi32_mask(bits, _mm256_set1_epi32(0x7f800000));
    __mmask8 some = _mm256_mask_cmpgt_epi32_mask(finite, bits, _mm256_setzero_si256());
    float inverse[8];
    _mm256_storeu_ps(
        inverse, _mm256_maskz_div_ps(some, _mm256_set1_ps(127), largest));
    __m512i values[4];
    FULL for (int i = 0; i < 4; i++) {
        __m128i parts[4];
        FULL for (int h = 0; h < 4; h++) {
            __m512 by = _mm512_set1_ps(inverse[2 * i + h / 2]);
            __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(y[2 * i + h / 2][h % 2], by));
            if (!(finite >> (2 * i + h / 2) & 1)) whole = _mm512_setzero_si512();
            parts[h] = _mm512_cvtsepi32_epi8(whole);
        }
        __m256i first = _mm256_set_m128i(parts[1], parts[0]);
        __m256i second = _mm256_set_m128i(parts[3], parts[2]);
        _mm256_storeu_si256((__m256i *)(tile + ((g + 2 * i) * size + row) * 32), first);
        _mm256_storeu_si256((__m256i *)(tile + ((g + 2 * i + 1) * size + row) * 32), second);
        values[i] = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
    }
    __m256i low, high;
    halves_of(values, &low, &high);
    __m256i all = _mm256_add_epi32(low, high);
    __m256 scale = _mm256_mask_blend_ps(
        finite, _mm256_set1_ps(NAN), _mm256_div_ps(largest, _mm256_set1_ps(127)));
    __m256 sum = _mm256_mul_ps(scale, _mm256_cvtepi32_ps(all));
    __m256i zero = _mm256_set1_epi32(-martlet_rows_zero(type));
    __m256 start = _mm256_castsi256_ps(
        _mm256_mullo_epi32(zero, type == MARTLET_ROWS_INT8_32 ? low : all));
    __m256 rest = _mm256_castsi256_ps(_mm256_mullo_epi32(zero, high));
    __m256d near[2] = {
        _mm256_castps_pd(_mm256_unpacklo_ps(scale, sum)),
        _mm256_castps_pd(_mm256_unpacklo_ps(start, rest))};
    __m256d far[2] = {
        _mm256_castps_pd(_mm256_unpackhi_ps(scale, sum)),
        _mm256_castps_pd(_mm256_unpackhi_ps(start, rest))};
    __m256d four[4] = {
        _mm256_unpacklo_pd(near[0], near[1]), _mm256_unpackhi_pd(near[0], near[1]),
        _mm256_unpacklo_pd(far[0], far[1]), _mm256_unpackhi_pd(far[0], far[1])};
    FULL for (int i = 0; i < 4; i++) {
        _mm_storeu_pd((double *)(to + (g + i) * size + row), _mm256_castpd256_pd128(four[i]));
        _mm_storeu_pd(
            (double *)(to + (g + 4 + i) * size + row), _mm256_extractf128_pd(four[i], 1));
    }
}

TARGET MARTLET_INLINE void prepare_row(
    const martlet_rows_source source, const martlet_rows_args *a, const float *x, int size,
    int row, uint8_t *tile, martlet_row_group *groups) {
    float factor = 1;
    if (source == MARTLET_ROWS_NORM) {
        __m512 sum = _mm512_setzero_ps();
        for (int64_t k = 0; k < a->k; k += 16) {
            int64_t left = a->k - k;
            __mmask16 mask = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
            __m512 v = _mm512_maskz_loadu_ps(mask, x + k);
            sum = _mm512_fmadd_ps(v, v, sum);
        }
        factor = 1 / sqrtf(_mm512_reduce_add_ps(sum) / (float)a->k + a->epsilon);
    }
    int64_t g = 0;
    if (a->type >= MARTLET_ROWS_INT8_8)
        for (; (g + 8) * 32 <= a->k; g += 8) {
            __m512 y[8][2];
            FULL for (int i = 0; i < 8; i++) load_group(source, a, x, (g + i) * 32, factor, y[i]);
            put_eight(a->type, y, g, size, row, tile, groups);
        }
    for (; g < martlet_row_groups(a->k); g++) {
        __m512 y[2];
        load_group(source, a, x, g * 32, factor, y);
        put_group(a->type, y, g, size, row, tile, groups);
    }
}

TARGET void martlet_rows_prepare_avx512(
    const martlet_rows_args *a, int64_t from, int64_t count, void *tile) {
    int size = martlet_rows_tile_size(count);
    int64_t bytes = martlet_row_groups(a->k) * martlet_rows_group_bytes(a->type) * size;
    martlet_row_group *groups = (martlet_row_group *)((uint8_t *)tile + bytes);
    for (int i = 0; i < count; i++) {
        const float *x = a->x + (from + i) * a->x_stride;
        switch (a->source) {
#define CASE(SOURCE)                                                                           \
    case SOURCE: prepare_row(SOURCE, a, x, size, i, tile, groups); break
            CASE(MARTLET_ROWS_PLAIN);
            CASE(MARTLET_ROWS_NORM);
            CASE(MARTLET_ROWS_SILU);
            CASE(MARTLET_ROWS_GELU_TANH);
        default: prepare_row(MARTLET_ROWS_GELU, a, x, size, i, tile, groups); break;
#undef CASE
        }
    }
}
#endif
