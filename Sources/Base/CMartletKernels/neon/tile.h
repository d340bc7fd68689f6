// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_KERNELS_NEON_TILE_H
#define MARTLET_KERNELS_NEON_TILE_H

#include "../dispatch/table.h"

#define MARTLET_TILES_NEON(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define DECLARE(N) void martlet_tile_f32_neon_##N(const martlet_tile_f32 *tile);
MARTLET_TILES_NEON(DECLARE)
#undef DECLARE

#endif
