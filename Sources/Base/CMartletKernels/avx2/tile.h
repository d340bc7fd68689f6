// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_KERNELS_AVX2_TILE_H
#define MARTLET_KERNELS_AVX2_TILE_H

#include "../dispatch/table.h"

#define MARTLET_TILES_AVX2(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define DECLARE(N) void martlet_tile_f32_avx2_##N(const martlet_tile_f32 *tile);
MARTLET_TILES_AVX2(DECLARE)
#undef DECLARE

#endif
