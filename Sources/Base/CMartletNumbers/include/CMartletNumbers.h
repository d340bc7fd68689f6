// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Numbers as text, many at a time.
#ifndef CMARTLET_NUMBERS_H
#define CMARTLET_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/// The most bytes of room that one number takes, those written beyond its end included.
enum { MARTLET_FLOAT_TEXT_MAX = 32 };

/// How the work is done; a machine of a level also runs those before it. Text is the same at all.
typedef enum martlet_text_level {
    MARTLET_TEXT_PLAIN, MARTLET_TEXT_AVX2, MARTLET_TEXT_AVX512
} martlet_text_level;

/// The machine's level, lowered by MARTLET_CPU=reference|avx2|avx512. Decided once.
martlet_text_level martlet_text_best(void);

/// Writes floats as the shortest decimals that read back as the same, of those the nearest, each
/// followed by a comma: "1.0,-0.001,1.5e-7,". Plain from 1e-5 up to below 1e16. NaN and the
/// infinities become "null", or where `literals` is not 0 "NaN", "Infinity" and "-Infinity".
///
/// values: count floats of any alignment. text: room for count * MARTLET_FLOAT_TEXT_MAX bytes.
/// level: at most martlet_text_best(). Returns the bytes written, the last comma included.
///
/// Algorithm: Giulietti, The Schubfach way to render doubles (2021); digits are split and trimmed
/// side by side, and put in their places by one shuffle, so that nothing branches on a value.
size_t martlet_text_f32(
    const void *values, size_t count, int literals, martlet_text_level level, char *text);

#endif
