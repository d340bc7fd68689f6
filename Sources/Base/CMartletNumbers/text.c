// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include <stdlib.h>
#include <string.h>

#include "text.h"

#if defined(MARTLET_X86)
#include <immintrin.h>
#endif

// MARK: Shuffles and tails

// From "0.0000ddddddddd" to "ddddddddd0000.0": which byte of a slot goes where. The digits lie at 8
// and from 0 to 7.
#define Z 9
#define P 10
#define PATTERNS_WITH(SIGN)                                                                    \
    {SIGN Z, P, Z, Z, Z, Z, 8, 0, 1, 2, 3, 4, 5, 6, 7},                                        \
    {SIGN Z, P, Z, Z, Z, 8, 0, 1, 2, 3, 4, 5, 6, 7},                                           \
    {SIGN Z, P, Z, Z, 8, 0, 1, 2, 3, 4, 5, 6, 7},                                              \
    {SIGN Z, P, Z, 8, 0, 1, 2, 3, 4, 5, 6, 7},                                                 \
    {SIGN Z, P, 8, 0, 1, 2, 3, 4, 5, 6, 7},                                                    \
    {SIGN 8, P, 0, 1, 2, 3, 4, 5, 6, 7},                                                       \
    {SIGN 8, 0, P, 1, 2, 3, 4, 5, 6, 7},                                                       \
    {SIGN 8, 0, 1, P, 2, 3, 4, 5, 6, 7},                                                       \
    {SIGN 8, 0, 1, 2, P, 3, 4, 5, 6, 7},                                                       \
    {SIGN 8, 0, 1, 2, 3, P, 4, 5, 6, 7},                                                       \
    {SIGN 8, 0, 1, 2, 3, 4, P, 5, 6, 7},                                                       \
    {SIGN 8, 0, 1, 2, 3, 4, 5, P, 6, 7},                                                       \
    {SIGN 8, 0, 1, 2, 3, 4, 5, 6, P, 7},                                                       \
    {SIGN 8, 0, 1, 2, 3, 4, 5, 6, 7, P, Z},                                                    \
    {SIGN 8, 0, 1, 2, 3, 4, 5, 6, 7, Z, P, Z},                                                 \
    {SIGN 8, 0, 1, 2, 3, 4, 5, 6, 7, Z, Z, P, Z},                                              \
    {SIGN 8, 0, 1, 2, 3, 4, 5, 6, 7, Z, Z, Z, P, Z},                                           \
    {SIGN 8, 0, 1, 2, 3, 4, 5, 6, 7, Z, Z, Z, Z, P, Z},
#define NO_SIGN
#define WITH_SIGN 11,
static const _Alignas(64) uint8_t patterns[2 * PATTERNS][16] = {
    PATTERNS_WITH(NO_SIGN) PATTERNS_WITH(WITH_SIGN)
};

// Tail 0 is the comma alone; 1 is "e-45,", and so on up to "e-0,", then from "e0," to "e39,".
#define ONES(SIGN, TEN)                                                                        \
    {SIGN #TEN "0,"}, {SIGN #TEN "1,"}, {SIGN #TEN "2,"}, {SIGN #TEN "3,"}, {SIGN #TEN "4,"},  \
    {SIGN #TEN "5,"}, {SIGN #TEN "6,"}, {SIGN #TEN "7,"}, {SIGN #TEN "8,"}, {SIGN #TEN "9,"}
#define ONES_DOWN(TEN)                                                                         \
    {"e-" #TEN "9,"}, {"e-" #TEN "8,"}, {"e-" #TEN "7,"}, {"e-" #TEN "6,"}, {"e-" #TEN "5,"},  \
    {"e-" #TEN "4,"}, {"e-" #TEN "3,"}, {"e-" #TEN "2,"}, {"e-" #TEN "1,"}, {"e-" #TEN "0,"}
static const char tails[][8] = {
    {","}, {"e-45,"}, {"e-44,"}, {"e-43,"}, {"e-42,"}, {"e-41,"}, {"e-40,"}, ONES_DOWN(3),
    ONES_DOWN(2), ONES_DOWN(1), ONES_DOWN(), ONES("e", ), ONES("e", 1), ONES("e", 2),
    ONES("e", 3)
};

// MARK: One number

typedef struct decimal { uint32_t digits; int32_t exponent; } decimal;

/// quarters * factor, its leading bits with a sticky last one.
MARTLET_INLINE uint32_t scaled(uint64_t factor, uint32_t quarters) {
    uint64_t low = (factor & 0xffffffff) * quarters;
    uint64_t product = (factor >> 32) * quarters + (low >> 32);
    return (uint32_t)(product >> 32) | ((uint32_t)product > 1);
}

/// The shortest decimal of a finite float that is not negative.
MARTLET_INLINE decimal shortest(uint32_t bits) {
    if (bits == 0) return (decimal){0, 0};
    uint32_t fraction = bits & 0x7fffff;
    int32_t biased = (int32_t)(bits >> 23);
    uint32_t significand = biased == 0 ? fraction : fraction | 0x800000;
    int32_t power = (biased == 0 ? 1 : biased) - 150;
    // Just above a power of two the neighbour below is only half as far away.
    int uneven = fraction == 0 && biased > 1;
    int32_t scale = (power * 1262611 - (uneven ? 524031 : 0)) >> 22;
    int32_t shift = power + ((-scale * 1741647) >> 19) + 1;
    uint64_t factor = martlet_text_factors[-scale - FACTOR_MIN];
    uint32_t excluded = significand & 1;
    uint32_t value = scaled(factor, significand << 2 << shift);
    uint32_t lower =
        scaled(factor, ((significand << 2) - (uneven ? 1 : 2)) << shift) + excluded;
    uint32_t upper = scaled(factor, ((significand << 2) + 2) << shift) - excluded;
    // Both answers are made and one is picked, by masks: which one it is cannot be predicted.
    uint32_t units = value >> 2, tens = units / 10;
    uint32_t tens_below = lower <= 40 * tens, tens_above = 40 * tens + 40 <= upper;
    uint32_t below = lower <= 4 * units, above = 4 * units + 4 <= upper;
    uint32_t up = (value & 3) + (units & 1) > 2;
    uint32_t is_tens = (tens_below ^ tens_above) & (units >= 10);
    uint32_t one = below ^ above, step = (one & above) | (~one & up);
    uint32_t fine = units + step, coarse = tens + tens_above;
    return (decimal){fine ^ ((fine ^ coarse) & -is_tens), scale + (int32_t)is_tens};
}

static const uint32_t powers[10] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000
};

/// Prepares a number; what all fields mean is said at martlet_text_group.
MARTLET_INLINE void prepare(uint32_t bits, unsigned i, martlet_text_group *group) {
    uint32_t negative = bits >> 31, magnitude = bits & 0x7fffffff;
    int finite = magnitude < 0x7f800000;
    decimal number = shortest(finite ? magnitude : 0);
    int32_t length = ((32 - __builtin_clz(number.digits | 1)) * 1233) >> 12;
    length += length == 0 || number.digits >= powers[length];
    int32_t point = length + number.exponent;
    uint32_t nine = number.digits * powers[9 - length], first = nine / 100000000;
    // Eight digits: halves, pairs and single digits are split side by side in one word.
    uint64_t rest = nine - first * 100000000, high = rest / 10000;
    uint64_t halves = high | (rest - high * 10000) << 32;
    uint64_t hundreds = ((halves * 10486) >> 20) & 0x0000007f0000007f;
    uint64_t pairs = hundreds | (halves - hundreds * 100) << 16;
    uint64_t tens = ((pairs * 103) >> 10) & 0x000f000f000f000f;
    uint64_t digits = tens | (pairs - tens * 10) << 8;
    int32_t kept = digits == 0 ? 1 : 9 - (__builtin_clzll(digits) >> 3);
    uint64_t words[2] = {digits | 0x3030303030303030, (first | 0x30) | 0x2d2e3000};
    memcpy(group->digits[martlet_text_slot(i)], words, 16);
    int scientific = point > POINT_MAX || point < POINT_MIN;
    int32_t power = point - 1, place = scientific ? 1 : point;
    int32_t more = scientific ? kept > 1 : place > 0 ? (kept > place ? 1 : place + 2 - kept)
                                                     : 2 - place;
    int odd = !finite || place > POINT_SHUFFLED;
    int32_t size = kept + more + (int32_t)negative;
    group->pattern[i] =
        odd ? 0 : (uint8_t)(place - POINT_MIN + (negative ? PATTERNS : 0));
    group->length[i] = (uint8_t)size;
    group->tail[i] = scientific ? (uint8_t)(power - POWER_MIN + 1 + (power > 0)) : 0;
    group->total[i] = (uint8_t)(size + (scientific ? 4 + (power < -9) : 1));
    group->odd |= (uint32_t)odd << i;
}

// MARK: Text

/// Writes a number that no shuffle writes.
static char *write_odd(
    uint32_t bits, unsigned i, const martlet_text_group *group, int literals, char *text) {
    const char *word = "null,";
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude < 0x7f800000) {
        const uint8_t *digits = group->digits[martlet_text_slot(i)];
        char *end = text + group->total[i];
        if (bits >> 31) *text++ = '-';
        memset(text, '0', (size_t)(end - text));
        *text = (char)digits[8];
        memcpy(text + 1, digits, 8);
        memcpy(end - 3, ".0,", 3);
        return end;
    }
    if (literals) word = magnitude > 0x7f800000 ? "NaN," : bits >> 31 ? "-Infinity,"
                                                                      : "Infinity,";
    size_t size = strlen(word);
    memcpy(text, word, size);
    return text + size;
}

#define WRITE(SHUFFLE)                                                                         \
    for (unsigned i = 0; i < count; i++) {                                                     \
        if (__builtin_expect(group->odd >> i & 1, 0)) {                                        \
            text = write_odd(bits[i], i, group, literals, text);                               \
            continue;                                                                          \
        }                                                                                      \
        SHUFFLE(text, group->digits[martlet_text_slot(i)], patterns[group->pattern[i]]);       \
        memcpy(text + group->length[i], tails[group->tail[i]], 8);                             \
        text += group->total[i];                                                               \
    }                                                                                          \
    return text;

MARTLET_INLINE void shuffle_plain(
    char *text, const uint8_t *digits, const uint8_t *pattern) {
    for (int i = 0; i < 16; i++) text[i] = (char)digits[pattern[i]];
}

MARTLET_INLINE char *write_plain(
    const uint32_t *bits, unsigned count, const martlet_text_group *group, int literals,
    char *text) {
    WRITE(shuffle_plain)
}

static char *group_plain(
    const uint32_t *bits, unsigned count, martlet_text_group *group, int literals, char *text) {
    for (unsigned i = 0; i < count; i++) prepare(bits[i], i, group);
    return write_plain(bits, count, group, literals, text);
}

#if defined(MARTLET_X86)
MARTLET_AVX2 MARTLET_INLINE void shuffle_avx2(
    char *text, const uint8_t *digits, const uint8_t *pattern) {
    __m128i slot = _mm_load_si128((const __m128i *)digits);
    __m128i places = _mm_load_si128((const __m128i *)pattern);
    _mm_storeu_si128((__m128i *)text, _mm_shuffle_epi8(slot, places));
}

MARTLET_AVX2 static char *write_avx2(
    const uint32_t *bits, unsigned count, const martlet_text_group *group, int literals,
    char *text) {
    WRITE(shuffle_avx2)
}

MARTLET_AVX2 static char *group_avx2(
    const uint32_t *bits, unsigned count, martlet_text_group *group, int literals, char *text) {
    for (unsigned i = 0; i < count; i++) prepare(bits[i], i, group);
    return write_avx2(bits, count, group, literals, text);
}

/// Sixteen numbers without a test between them.
MARTLET_AVX2 static char *write_even(const martlet_text_group *group, char *text) {
#pragma clang loop unroll(full)
    for (unsigned i = 0; i < GROUP; i++) {
        shuffle_avx2(text, group->digits[martlet_text_slot(i)], patterns[group->pattern[i]]);
        memcpy(text + group->length[i], tails[group->tail[i]], 8);
        text += group->total[i];
    }
    return text;
}
#endif

martlet_text_level martlet_text_best(void) {
    static _Atomic int known = -1;
    int level = known;
    if (level >= 0) return (martlet_text_level)level;
    level = MARTLET_TEXT_PLAIN;
#if defined(MARTLET_X86)
    __builtin_cpu_init();
    const char *wish = getenv("MARTLET_CPU");
    int most = !wish ? MARTLET_TEXT_AVX512
                     : strcmp(wish, "reference") == 0 ? MARTLET_TEXT_PLAIN
                     : strcmp(wish, "avx2") == 0 ? MARTLET_TEXT_AVX2 : MARTLET_TEXT_AVX512;
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("lzcnt") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512cd");
    if (avx2) level = avx512 ? MARTLET_TEXT_AVX512 : MARTLET_TEXT_AVX2;
    if (level > most) level = most;
#endif
    known = level;
    return (martlet_text_level)level;
}

size_t martlet_text_f32(
    const void *values, size_t count, int literals, martlet_text_level level, char *text) {
    char *start = text;
    martlet_text_group group;
    uint32_t bits[GROUP];
    for (size_t first = 0; first < count; first += GROUP) {
        unsigned some = count - first < GROUP ? (unsigned)(count - first) : GROUP;
        memcpy(bits, (const char *)values + first * 4, some * 4);
        group.odd = 0;
#if defined(MARTLET_X86)
        if (level == MARTLET_TEXT_AVX512 && some == GROUP) {
            martlet_text_prepare_avx512(bits, &group);
            text = group.odd == 0 ? write_even(&group, text)
                                  : write_avx2(bits, some, &group, literals, text);
            continue;
        }
        if (level != MARTLET_TEXT_PLAIN) {
            text = group_avx2(bits, some, &group, literals, text);
            continue;
        }
#endif
        text = group_plain(bits, some, &group, literals, text);
    }
    return (size_t)(text - start);
}
