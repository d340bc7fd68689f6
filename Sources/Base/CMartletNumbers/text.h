// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Shared by this target's sources; not part of the module.
#ifndef MARTLET_TEXT_H
#define MARTLET_TEXT_H

#include "CMartletNumbers.h"

#define MARTLET_INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__)
#define MARTLET_X86 1
#define MARTLET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512cd")))
#define MARTLET_AVX2 __attribute__((target("avx2,lzcnt,bmi,bmi2")))
#endif

enum {
    GROUP = 16,
    FACTOR_MIN = -31,       // the least power of ten in martlet_text_factors
    FACTORS = 77,
    POWER_MIN = -45,        // the least power that is written behind an "e"
    POINT_MIN = -4,         // a point this far left of the digits is still written out
    POINT_MAX = 16,         // and this far right of the first; in a shuffle up to
    POINT_SHUFFLED = 13,
    PATTERNS = POINT_SHUFFLED - POINT_MIN + 1
};

/// Sixteen numbers between their values and their text.
typedef struct martlet_text_group {
    /// By slot: digits 2 to 9 as characters, then digit 1, "0", "." and "-".
    _Alignas(64) uint8_t digits[GROUP][16];
    /// Which shuffle puts the digits in their places.
    uint8_t pattern[GROUP];
    /// Bytes of the text before its tail.
    uint8_t length[GROUP];
    /// Which tail follows: a comma, or an exponent and a comma.
    uint8_t tail[GROUP];
    /// Bytes of the text, tail included.
    uint8_t total[GROUP];
    /// The numbers that no shuffle writes: non-finite, or with many zeros before the point.
    uint32_t odd;
} martlet_text_group;

/// Where in digits number i lies: as the vectors leave them.
MARTLET_INLINE unsigned martlet_text_slot(unsigned i) {
    return (i & 1) << 3 | (i & 2) << 1 | i >> 2;
}

/// The leading 64 bits of the powers of ten from FACTOR_MIN on, rounded up.
extern const uint64_t martlet_text_factors[FACTORS];

#if defined(MARTLET_X86)
/// Prepares sixteen numbers.
void martlet_text_prepare_avx512(const uint32_t *bits, martlet_text_group *group);
#endif

#endif
