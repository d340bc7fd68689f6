// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_KERNELS_PAGED_H
#define MARTLET_KERNELS_PAGED_H

#include "table.h"

enum { MARTLET_PAGED_ROWS = 12, MARTLET_PAGED_CHUNK = 256 };

/// Up to 12 query rows (position after position, head after head) of one head of keys and values.
typedef struct {
    const martlet_paged_args *args;
    int64_t kv_head;
    const int32_t *blocks;      // of the slice
    int32_t size, count;        // rows that the tile computes, and those that exist
    const float *q[MARTLET_PAGED_ROWS];
    float *o[MARTLET_PAGED_ROWS];
    int64_t from[MARTLET_PAGED_ROWS], to[MARTLET_PAGED_ROWS];  // positions that a row sees
} martlet_paged_tile;

/// Where the head's keys, or values, of a position's block begin.
MARTLET_INLINE const char *martlet_paged_head(
    const martlet_paged_tile *t, martlet_dtype type, const void *base, int64_t position) {
    const martlet_cache *c = &t->args->cache;
    int64_t block = t->blocks[position / MARTLET_CACHE_BLOCK];
    int64_t bytes = type == MARTLET_F32 ? 4 : type == MARTLET_I8 ? 1 : 2;
    int64_t head = c->head_size * MARTLET_CACHE_BLOCK * bytes;
    int64_t scales = type == MARTLET_I8 ? MARTLET_CACHE_BLOCK * (int64_t)sizeof(float) : 0;
    return (const char *)base + block * c->kv_heads * (head + scales) + t->kv_head * head;
}

/// The scales of the head's 16 positions there, of 8-bit values.
MARTLET_INLINE const char *martlet_paged_scales(
    const martlet_paged_tile *t, const void *base, int64_t position) {
    const martlet_cache *c = &t->args->cache;
    int64_t block = t->blocks[position / MARTLET_CACHE_BLOCK];
    int64_t head = c->head_size * MARTLET_CACHE_BLOCK;
    int64_t scales = MARTLET_CACHE_BLOCK * (int64_t)sizeof(float);
    return (const char *)base + (block + 1) * c->kv_heads * (head + scales) -
           (c->kv_heads - t->kv_head) * scales;
}

typedef void (*martlet_paged_function)(const martlet_paged_tile *tile);

extern const martlet_paged_function martlet_paged_plain, martlet_paged_avx2, martlet_paged_avx512;
extern const martlet_paged_function martlet_paged_neon;

#endif
