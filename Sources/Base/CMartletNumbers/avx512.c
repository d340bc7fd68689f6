// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "text.h"

#if defined(MARTLET_X86)
#include <immintrin.h>

typedef __m512i vector;
#define EACH(X) _mm512_set1_epi32(X)
#define EACH64(X) _mm512_set1_epi64(X)

// Numbers lie in 32-bit lanes; where they need 64, those with even and odd places are apart.
typedef struct halves { vector even, odd; } halves;

MARTLET_AVX512 MARTLET_INLINE halves apart(vector x) {
    return (halves){_mm512_and_si512(x, EACH64(0xffffffff)), _mm512_srli_epi64(x, 32)};
}

/// The lower 32 bits of each.
MARTLET_AVX512 MARTLET_INLINE vector lower_of(halves x) {
    return _mm512_mask_blend_epi32(0xaaaa, x.even, _mm512_slli_epi64(x.odd, 32));
}

/// The upper 32 bits of each.
MARTLET_AVX512 MARTLET_INLINE vector upper_of(halves x) {
    return _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(x.even, 32), x.odd);
}

MARTLET_AVX512 MARTLET_INLINE vector product(vector factor, vector quarters) {
    vector low = _mm512_mul_epu32(factor, quarters);
    vector high = _mm512_mul_epu32(_mm512_srli_epi64(factor, 32), quarters);
    return _mm512_add_epi64(high, _mm512_srli_epi64(low, 32));
}

/// quarters * factor, its leading bits with a sticky last one.
MARTLET_AVX512 MARTLET_INLINE vector scaled(halves factor, vector quarters) {
    halves products = {
        product(factor.even, quarters),
        product(factor.odd, _mm512_srli_epi64(quarters, 32))
    };
    vector upper = upper_of(products);
    __mmask16 sticky = _mm512_cmpgt_epu32_mask(lower_of(products), EACH(1));
    return _mm512_mask_or_epi32(upper, sticky, upper, EACH(1));
}

/// x / 10 for x below 2^28.
MARTLET_AVX512 MARTLET_INLINE vector tenth(vector x) {
    vector magic = EACH64(0xcccccccd);
    halves quotients = {
        _mm512_srli_epi64(_mm512_mul_epu32(x, magic), 35),
        _mm512_srli_epi64(_mm512_mul_epu32(_mm512_srli_epi64(x, 32), magic), 35)
    };
    return lower_of(quotients);
}

typedef struct decimals { vector digits, exponent; } decimals;

/// The shortest decimals of finite floats that are not negative; see shortest() in text.c.
MARTLET_AVX512 MARTLET_INLINE decimals shortest(vector bits) {
    vector zero = _mm512_setzero_si512();
    vector fraction = _mm512_and_si512(bits, EACH(0x7fffff));
    vector biased = _mm512_srli_epi32(bits, 23);
    __mmask16 normal = _mm512_test_epi32_mask(biased, biased);
    vector significand = _mm512_mask_or_epi32(fraction, normal, fraction, EACH(0x800000));
    vector power = _mm512_sub_epi32(_mm512_max_epi32(biased, EACH(1)), EACH(150));
    __mmask16 uneven = _mm512_cmpeq_epi32_mask(fraction, zero) &
                       _mm512_cmpgt_epi32_mask(biased, EACH(1));
    vector scale = _mm512_mullo_epi32(power, EACH(1262611));
    scale = _mm512_mask_sub_epi32(scale, uneven, scale, EACH(524031));
    scale = _mm512_srai_epi32(scale, 22);
    vector inverse = _mm512_sub_epi32(zero, scale);
    vector shift = _mm512_srai_epi32(_mm512_mullo_epi32(inverse, EACH(1741647)), 19);
    shift = _mm512_add_epi32(_mm512_add_epi32(power, shift), EACH(1));
    halves places = apart(_mm512_sub_epi32(inverse, EACH(FACTOR_MIN)));
    halves factor = {
        _mm512_i64gather_epi64(places.even, martlet_text_factors, 8),
        _mm512_i64gather_epi64(places.odd, martlet_text_factors, 8)
    };
    vector quarters = _mm512_slli_epi32(significand, 2);
    vector less = _mm512_mask_blend_epi32(uneven, EACH(2), EACH(1));
    vector excluded = _mm512_and_si512(significand, EACH(1));
    vector value = scaled(factor, _mm512_sllv_epi32(quarters, shift));
    vector lower =
        scaled(factor, _mm512_sllv_epi32(_mm512_sub_epi32(quarters, less), shift));
    vector upper =
        scaled(factor, _mm512_sllv_epi32(_mm512_add_epi32(quarters, EACH(2)), shift));
    lower = _mm512_add_epi32(lower, excluded);
    upper = _mm512_sub_epi32(upper, excluded);

    vector units = _mm512_srli_epi32(value, 2), tens = tenth(units);
    vector four = _mm512_slli_epi32(units, 2);
    vector forty = _mm512_add_epi32(_mm512_slli_epi32(tens, 5), _mm512_slli_epi32(tens, 3));
    __mmask16 tens_below = _mm512_cmple_epu32_mask(lower, forty);
    __mmask16 tens_above =
        _mm512_cmple_epu32_mask(_mm512_add_epi32(forty, EACH(40)), upper);
    __mmask16 below = _mm512_cmple_epu32_mask(lower, four);
    __mmask16 above = _mm512_cmple_epu32_mask(_mm512_add_epi32(four, EACH(4)), upper);
    vector rest = _mm512_add_epi32(
        _mm512_and_si512(value, EACH(3)), _mm512_and_si512(units, EACH(1)));
    __mmask16 up = _mm512_cmpgt_epu32_mask(rest, EACH(2));
    __mmask16 one = below ^ above, step = (__mmask16)((one & above) | (~one & up));
    __mmask16 is_tens = (tens_below ^ tens_above) & _mm512_cmpge_epu32_mask(units, EACH(10));
    units = _mm512_mask_add_epi32(units, step, units, EACH(1));
    tens = _mm512_mask_add_epi32(tens, tens_above, tens, EACH(1));
    __mmask16 nonzero = _mm512_test_epi32_mask(bits, bits);
    decimals result = {
        _mm512_maskz_mov_epi32(nonzero, _mm512_mask_blend_epi32(is_tens, units, tens)),
        _mm512_maskz_mov_epi32(
            nonzero, _mm512_mask_add_epi32(scale, is_tens, scale, EACH(1)))
    };
    return result;
}

/// Digits 2 to 9 of numbers with nine, a byte each and the first one lowest, in 64-bit lanes;
/// stores the slots, and returns how many digits there are up to the last that is not zero.
MARTLET_AVX512 MARTLET_INLINE vector split(vector nine, uint8_t (*slots)[16]) {
    vector first = _mm512_srli_epi64(_mm512_mul_epu32(nine, EACH64(0x55e63b89)), 57);
    vector rest = _mm512_sub_epi64(nine, _mm512_mul_epu32(first, EACH64(100000000)));
    vector high = _mm512_srli_epi64(_mm512_mul_epu32(rest, EACH64(3518437209)), 45);
    vector low = _mm512_sub_epi64(rest, _mm512_mul_epu32(high, EACH64(10000)));
    vector fours = _mm512_or_si512(high, _mm512_slli_epi64(low, 32));
    vector hundreds =
        _mm512_srli_epi16(_mm512_mulhi_epu16(fours, _mm512_set1_epi16(5243)), 3);
    vector ones =
        _mm512_sub_epi16(fours, _mm512_mullo_epi16(hundreds, _mm512_set1_epi16(100)));
    vector pairs = _mm512_or_si512(hundreds, _mm512_slli_epi32(ones, 16));
    vector tens = _mm512_mulhi_epu16(pairs, _mm512_set1_epi16(6554));
    ones = _mm512_sub_epi16(pairs, _mm512_mullo_epi16(tens, _mm512_set1_epi16(10)));
    vector digits = _mm512_or_si512(tens, _mm512_slli_epi16(ones, 8));
    vector text = _mm512_or_si512(digits, _mm512_set1_epi8(0x30));
    first = _mm512_or_si512(first, EACH64(0x2d2e3030));
    _mm512_store_si512(slots, _mm512_unpacklo_epi64(text, first));
    _mm512_store_si512(slots + 4, _mm512_unpackhi_epi64(text, first));
    return _mm512_sub_epi64(EACH64(9), _mm512_srli_epi64(_mm512_lzcnt_epi64(digits), 3));
}

MARTLET_AVX512 MARTLET_INLINE void store_bytes(uint8_t *place, vector x) {
    _mm_storeu_si128((__m128i *)place, _mm512_cvtepi32_epi8(x));
}

MARTLET_AVX512 void martlet_text_prepare_avx512(
    const uint32_t *bits, martlet_text_group *group) {
    vector all = _mm512_loadu_si512(bits);
    vector magnitude = _mm512_and_si512(all, EACH(0x7fffffff));
    vector negative = _mm512_srli_epi32(all, 31);
    __mmask16 finite = _mm512_cmplt_epi32_mask(magnitude, EACH(0x7f800000));
    decimals number = shortest(_mm512_maskz_mov_epi32(finite, magnitude));

    const vector powers = _mm512_setr_epi32(
        1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 0, 0, 0, 0,
        0, 0);
    vector width = _mm512_sub_epi32(
        EACH(32), _mm512_lzcnt_epi32(_mm512_or_si512(number.digits, EACH(1))));
    vector length = _mm512_srli_epi32(_mm512_mullo_epi32(width, EACH(1233)), 12);
    __mmask16 longer =
        _mm512_cmpge_epu32_mask(number.digits, _mm512_permutexvar_epi32(length, powers)) |
        _mm512_testn_epi32_mask(length, length);
    length = _mm512_mask_add_epi32(length, longer, length, EACH(1));
    vector point = _mm512_add_epi32(length, number.exponent);
    vector factor = _mm512_permutexvar_epi32(_mm512_sub_epi32(EACH(9), length), powers);
    halves nine = apart(_mm512_mullo_epi32(number.digits, factor));
    halves counts = {split(nine.even, group->digits), split(nine.odd, group->digits + 8)};
    vector kept = lower_of(counts);

    __mmask16 scientific = _mm512_cmpgt_epi32_mask(point, EACH(POINT_MAX)) |
                           _mm512_cmplt_epi32_mask(point, EACH(POINT_MIN));
    vector power = _mm512_sub_epi32(point, EACH(1));
    vector place = _mm512_mask_mov_epi32(point, scientific, EACH(1));
    // "1.0" has a digit behind its point, "1e20" has neither; "0.01" has zeros before its digits.
    vector shown = _mm512_mask_max_epi32(
        kept, (__mmask16)~scientific, kept, _mm512_add_epi32(place, EACH(1)));
    __mmask16 dotted = (__mmask16)~scientific | _mm512_cmpgt_epi32_mask(kept, EACH(1));
    vector size = _mm512_mask_add_epi32(shown, dotted, shown, EACH(1));
    __mmask16 small = _mm512_cmple_epi32_mask(place, _mm512_setzero_si512());
    size = _mm512_mask_sub_epi32(
        size, small, _mm512_add_epi32(kept, EACH(2)), place);
    size = _mm512_add_epi32(size, negative);
    vector after = _mm512_maskz_mov_epi32(scientific, EACH(3));
    after = _mm512_mask_add_epi32(
        after, scientific & _mm512_cmplt_epi32_mask(power, EACH(-9)), after, EACH(1));
    after = _mm512_add_epi32(after, EACH(1));
    vector pattern = _mm512_sub_epi32(place, EACH(POINT_MIN));
    pattern = _mm512_add_epi32(pattern, _mm512_mullo_epi32(negative, EACH(PATTERNS)));
    __mmask16 odd = (__mmask16)~finite |
                    _mm512_cmpgt_epi32_mask(place, EACH(POINT_SHUFFLED));
    store_bytes(group->pattern, _mm512_maskz_mov_epi32((__mmask16)~odd, pattern));
    store_bytes(group->length, size);
    vector tail = _mm512_maskz_add_epi32(scientific, power, EACH(1 - POWER_MIN));
    __mmask16 large = scientific & _mm512_cmpgt_epi32_mask(power, EACH(0));
    store_bytes(group->tail, _mm512_mask_add_epi32(tail, large, tail, EACH(1)));
    store_bytes(group->total, _mm512_add_epi32(size, after));
    group->odd = odd;
}
#endif
