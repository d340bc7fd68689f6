// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "CMartletAllocations.h"

#include <errno.h>
#include <stddef.h>

static _Thread_local int64_t count;

int64_t martlet_allocation_count(void) {
    return count;
}

// A sanitizer brings an allocator of its own; nothing is counted then.
#if !defined(__has_feature) || !__has_feature(address_sanitizer)

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) {
    count += 1;
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count += 1;
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    count += 1;
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count += 1;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    count += 1;
    void *address = __libc_memalign(alignment, size);
    if (address == NULL) return ENOMEM;
    *result = address;
    return 0;
}

#endif
