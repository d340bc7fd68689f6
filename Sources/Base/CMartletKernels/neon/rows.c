// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"

#if defined(MARTLET_ARM)
#include <arm_neon.h>

#define TARGET MARTLET_NEON
#define NAME(X) X##_neon
#define FMA(A, B, C) __builtin_elementwise_fma(A, B, C)
#define DOT(SUM, QUADS, QUAD) dot_neon(SUM, QUADS, QUAD)

typedef int32_t sums_neon __attribute__((ext_vector_type(16)));
typedef uint32_t quads_neon __attribute__((ext_vector_type(16)));

// SDOT takes signed bytes: the unsigned ones' highest bits are multiplied apart.
TARGET MARTLET_INLINE sums_neon dot_neon(sums_neon sum, quads_neon quads, int32_t quad) {
    int8x16_t a = vreinterpretq_s8_s32(vdupq_n_s32(quad)), w[4];
    int32x4_t s[4];
    memcpy(w, &quads, 64);
    memcpy(s, &sum, 64);
    for (int i = 0; i < 4; i++) {
        int8x16_t top = vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(w[i]), 7));
        s[i] = vdotq_s32(s[i], vandq_s8(w[i], vdupq_n_s8(127)), a);
        s[i] = vaddq_s32(s[i], vshlq_n_s32(vdotq_s32(vdupq_n_s32(0), top, a), 7));
    }
    memcpy(&sum, s, 64);
    return sum;
}

#include "../dispatch/rows_plain.h"
#endif
