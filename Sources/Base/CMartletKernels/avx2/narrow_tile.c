// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/narrow.h"

#if defined(MARTLET_X86)
#define TARGET MARTLET_AVX2
#define NAME(X) X##_avx2
#include "../dispatch/narrow_plain_tile.h"
#endif
