// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"

#if defined(MARTLET_ARM)
#include <arm_neon.h>
#define TARGET MARTLET_NEON
#define NAME(X) X##_neon
#define HALVES(P) halves_neon(P)
typedef float halves_of_neon __attribute__((ext_vector_type(16)));

MARTLET_NEON MARTLET_INLINE halves_of_neon halves_neon(const uint16_t *x) {
    float32x4_t parts[4];
    for (int i = 0; i < 4; i++)
        parts[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x + 4 * i)));
    halves_of_neon y;
    memcpy(&y, parts, 64);
    return y;
}

#include "../dispatch/paged_tile.h"
#endif
