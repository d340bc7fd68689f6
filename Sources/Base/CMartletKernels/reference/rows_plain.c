// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#define TARGET
#define NAME(X) X##_plain
#define FMA(A, B, C) ((A) * (B) + (C))
#define DOT(SUM, QUADS, QUAD)                                                                  \
    ((SUM) + __builtin_convertvector((QUADS) & 255, W) * (int8_t)(QUAD) +                      \
     __builtin_convertvector((QUADS) >> 8 & 255, W) * (int8_t)((QUAD) >> 8) +                  \
     __builtin_convertvector((QUADS) >> 16 & 255, W) * (int8_t)((QUAD) >> 16) +                \
     __builtin_convertvector((QUADS) >> 24, W) * ((QUAD) >> 24))
#include "../dispatch/rows_plain.h"
