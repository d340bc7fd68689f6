// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Counts the heap allocations of the calling thread, by standing before glibc's own functions.
#ifndef CMARTLET_ALLOCATIONS_H
#define CMARTLET_ALLOCATIONS_H

#include <stdint.h>

/// Allocations that the calling thread has made since it began.
int64_t martlet_allocation_count(void);

#endif
