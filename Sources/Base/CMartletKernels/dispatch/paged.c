// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "paged.h"

int64_t martlet_cache_block_bytes(martlet_dtype type, int64_t kv_heads, int64_t head_size) {
    if (type != MARTLET_F32 && type != MARTLET_F16 && type != MARTLET_BF16 && type != MARTLET_I8)
        return 0;
    int64_t values = head_size * martlet_dtype_bytes(type);
    int64_t scales = type == MARTLET_I8 ? (int64_t)sizeof(float) : 0;
    return kv_heads * MARTLET_CACHE_BLOCK * (values + scales);
}

static martlet_paged_function level_function(void) {
#if defined(MARTLET_X86)
    martlet_level level = martlet_kernels_level();
    if (level >= MARTLET_LEVEL_AVX512) return martlet_paged_avx512;
    if (level >= MARTLET_LEVEL_AVX2) return martlet_paged_avx2;
#elif defined(MARTLET_ARM)
    if (martlet_kernels_level() == MARTLET_LEVEL_NEON) return martlet_paged_neon;
#endif
    return martlet_paged_plain;
}

typedef struct {
    const martlet_paged_args *args;
    martlet_paged_function function;
    int64_t share;              // query heads of a head of keys
} job;

static int64_t tiles_of(const job *j, const int32_t *slice) {
    return martlet_ceil_div(slice[1] * j->share, MARTLET_PAGED_ROWS);
}

static int32_t padded_size(int64_t n) {
    return n <= 4 ? (int32_t)n : n <= 6 ? 6 : n <= 8 ? 8 : MARTLET_PAGED_ROWS;
}

static void run_tile(const job *j, const int32_t *slice, int64_t tile, int64_t kv_head) {
    const martlet_paged_args *a = j->args;
    martlet_paged_tile t = {.args = a, .kv_head = kv_head, .blocks = a->blocks + slice[3]};
    int64_t first = tile * MARTLET_PAGED_ROWS;
    int64_t count = martlet_min(MARTLET_PAGED_ROWS, slice[1] * j->share - first);
    t.count = (int32_t)count;
    t.size = padded_size(count);
    for (int64_t i = 0; i < count; i++) {
        int64_t row = (first + i) / j->share, head = kv_head * j->share + (first + i) % j->share;
        int64_t at = ((slice[0] + row) * a->heads + head) * a->cache.head_size;
        int64_t position = slice[2] + row;
        t.q[i] = a->q + at;
        t.o[i] = a->o + at;
        t.to[i] = position + 1;
        t.from[i] = a->window > 0 ? martlet_max(0, position - a->window + 1) : 0;
    }
    j->function(&t);
}

static void run_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const job *j = context;
    const martlet_paged_args *a = j->args;
    int64_t left = part / a->cache.kv_heads;
    for (int64_t s = 0; s < a->slice_count; s++) {
        const int32_t *slice = a->slices + s * MARTLET_SLICE_FIELDS;
        int64_t tiles = tiles_of(j, slice);
        // A slice's last rows see the most: they go first.
        if (left < tiles) return run_tile(j, slice, tiles - 1 - left, part % a->cache.kv_heads);
        left -= tiles;
    }
}

static int slice_is_inside(const martlet_paged_args *a, const int32_t *slice) {
    if (slice[0] < 0 || slice[1] < 0 || slice[2] < 0 || slice[3] < 0) return 0;
    if ((int64_t)slice[0] + slice[1] > a->n) return 0;
    int64_t blocks = martlet_ceil_div((int64_t)slice[2] + slice[1], MARTLET_CACHE_BLOCK);
    if (slice[3] + blocks > a->block_count) return 0;
    for (int64_t i = 0; i < blocks; i++) {
        int32_t block = a->blocks[slice[3] + i];
        if (block < 0 || block >= a->cache.blocks) return 0;
    }
    return 1;
}

int32_t martlet_paged_attention(const martlet_paged_args *a, int32_t threads) {
    const martlet_cache *c = &a->cache;
    if (c->head_size <= 0 || c->head_size > MARTLET_HEAD_SIZE_MAX || c->kv_heads <= 0 ||
        a->heads <= 0 || a->heads % c->kv_heads ||
        !martlet_cache_block_bytes(c->type, c->kv_heads, c->head_size))
        return -1;
    job j = {.args = a, .function = level_function(), .share = a->heads / c->kv_heads};
    int64_t parts = 0;
    for (int64_t s = 0; s < a->slice_count; s++) {
        const int32_t *slice = a->slices + s * MARTLET_SLICE_FIELDS;
        if (!slice_is_inside(a, slice)) return -1;
        parts += tiles_of(&j, slice) * c->kv_heads;
    }
    if (parts > INT32_MAX) return -1;
    martlet_parallel_for((int32_t)parts, threads, run_part, &j);
    return 0;
}
