// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/narrow.h"

#define TARGET
#define NAME(X) X##_plain
#include "../dispatch/narrow_plain_tile.h"
