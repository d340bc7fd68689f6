// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The process-wide pool of kernel threads.
#ifndef MARTLET_THREADS_H
#define MARTLET_THREADS_H

#include <stdint.h>

/// One part of a parallel loop. Must not block and must not unwind.
typedef void (*martlet_part)(void *context, int32_t part, int32_t parts);

/// Starts the pool with this many threads, the caller's included (0: the cores this process may
/// run on). Only the first start counts; returns the size in force. Kernels start it themselves.
int32_t martlet_pool_start(int32_t threads);

/// Threads a parallel loop can use, the caller included. Starts the pool if need be.
int32_t martlet_pool_size(void);

/// threads as a kernel understands it: at least 1, at most the pool's size, 0 meaning the latter.
int32_t martlet_pool_threads(int32_t threads);

/// Calls function(context, part, parts) for every part in 0 ..< parts, on at most threads threads
/// (0: all), the caller among them, and returns when all parts are done. Parts are handed out by an
/// atomic counter. A call from inside a part runs serially. Any number of threads may call at once.
/// Idle workers spin about 30 microseconds, then sleep.
void martlet_parallel_for(int32_t parts, int32_t threads, martlet_part function, void *context);

/// Inside a part: which of the loop's threads this is, from 0 and below its thread limit; no two
/// threads of one loop share a number at the same time. Selects a share of the scratch.
int32_t martlet_parallel_slot(void);

#endif
