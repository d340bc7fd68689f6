// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Element types of eight bits and fewer that are only stored and converted, never computed with.
#ifndef MARTLET_SMALL_TYPES_H
#define MARTLET_SMALL_TYPES_H

#include "MartletKernelTypes.h"

/// Types of four and two bits are packed, the first element in the lowest bits; a last byte that is
/// not full ends with zeros.
typedef enum martlet_small {
    MARTLET_F8_E4M3FN, MARTLET_F8_E4M3FNUZ, MARTLET_F8_E5M2, MARTLET_F8_E5M2FNUZ,
    MARTLET_F8_E8M0,  // a power of two, no sign
    MARTLET_F4_E2M1, MARTLET_U4, MARTLET_I4, MARTLET_U2, MARTLET_I2,
    MARTLET_SMALL_COUNT
} martlet_small;

typedef enum martlet_rounding {
    MARTLET_ROUND_NEAREST, MARTLET_ROUND_UP, MARTLET_ROUND_DOWN
} martlet_rounding;

/// y[i] = x[i], exactly.
int32_t martlet_small_decode(martlet_small type, const void *x, float *y, int64_t n);

/// y[i] = x[i] rounded to the nearest value, halves to even. Numbers out of range become the
/// largest value where saturate is set, else infinity or NaN as the type has them; four-bit floats
/// always saturate. To whole numbers: towards zero, then the low bits. rounding is E8M0's.
int32_t martlet_small_encode(
    martlet_small type, int32_t saturate, martlet_rounding rounding, const float *x, void *y,
    int64_t n);

/// The low bits of each byte: what a conversion between whole numbers leaves.
int32_t martlet_small_pack(martlet_small type, const uint8_t *x, void *y, int64_t n);

#endif
