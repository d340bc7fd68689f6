// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_KERNELS_REFERENCE_TILE_H
#define MARTLET_KERNELS_REFERENCE_TILE_H

#include "../dispatch/table.h"

#define MARTLET_TILES_PLAIN(X) X(1) X(2) X(3) X(4)
#define DECLARE(N) void martlet_tile_f32_plain_##N(const martlet_tile_f32 *tile);
MARTLET_TILES_PLAIN(DECLARE)
#undef DECLARE

#endif
