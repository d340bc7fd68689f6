// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"

#pragma clang diagnostic ignored "-Wpsabi"
#define TARGET
#define NAME(X) X##_plain
#define HALVES(P) halves_plain(P)
typedef float halves_of_plain __attribute__((ext_vector_type(16)));

MARTLET_INLINE halves_of_plain halves_plain(const uint16_t *x) {
    halves_of_plain y;
    for (int i = 0; i < 16; i++) y[i] = martlet_of_f16(x[i]);
    return y;
}

#include "../dispatch/paged_tile.h"
