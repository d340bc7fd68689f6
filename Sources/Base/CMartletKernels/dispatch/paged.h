// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_KERNELS_PAGED_H
#define MARTLET_KERNELS_PAGED_H

#include "table.h"

enum { MARTLET_PAGED_ROWS = 12, MARTLET_PAGED_CHUNK = 256, MARTLET_PAGED_TILES = 8 };

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

/// Up to 8 tiles of query rows of one slice and one head of keys, from row `first` on.
typedef struct {
    const martlet_paged_args *args;
    const int32_t *slice;
    int64_t kv_head, first, count;
} martlet_paged_strip;

/// A strip's tile from its row `at` on.
MARTLET_INLINE void martlet_paged_tile_of(
    const martlet_paged_strip *s, int64_t at, martlet_paged_tile *t) {
    const martlet_paged_args *a = s->args;
    int64_t share = a->heads / a->cache.kv_heads;
    int64_t count = martlet_min(MARTLET_PAGED_ROWS, s->count - at);
    t->args = a;
    t->kv_head = s->kv_head;
    t->blocks = a->blocks + s->slice[3];
    t->count = (int32_t)count;
    t->size = count <= 4 ? (int32_t)count : count <= 6 ? 6 : count <= 8 ? 8 : MARTLET_PAGED_ROWS;
    for (int64_t i = 0; i < count; i++) {
        int64_t row = (s->first + at + i) / share;
        int64_t head = s->kv_head * share + (s->first + at + i) % share;
        int64_t begin = ((s->slice[0] + row) * a->heads + head) * a->cache.head_size;
        int64_t position = s->slice[2] + row;
        t->q[i] = a->q + begin;
        t->o[i] = a->o + begin;
        t->to[i] = position + 1;
        t->from[i] = a->window > 0 ? martlet_max(0, position - a->window + 1) : 0;
    }
}

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
typedef void (*martlet_paged_strip_function)(const martlet_paged_strip *strip);

extern const martlet_paged_function martlet_paged_plain, martlet_paged_avx2, martlet_paged_avx512;
extern const martlet_paged_function martlet_paged_neon;
/// Products in bf16, of caches of 16 and 8 bits and heads of whole vectors of 16.
extern const martlet_paged_strip_function martlet_paged_bf16;

#endif
