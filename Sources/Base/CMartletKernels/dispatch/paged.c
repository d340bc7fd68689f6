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

// Nothing where products in bf16 are not wanted, or there are none.
static martlet_paged_strip_function strip_function(const martlet_paged_args *a) {
#if defined(MARTLET_X86)
    if (a->narrow && a->cache.type != MARTLET_F32 && a->cache.head_size % 16 == 0 &&
        martlet_kernels_level() >= MARTLET_LEVEL_AVX512 && __builtin_cpu_supports("avx512bf16"))
        return martlet_paged_bf16;
#else
    (void)a;
#endif
    return NULL;
}

typedef struct {
    const martlet_paged_args *args;
    martlet_paged_function function;
    martlet_paged_strip_function strip;
    int64_t share;              // query heads of a head of keys
    int64_t rows;               // of a part
} job;

static int64_t strips_of(const job *j, const int32_t *slice) {
    return martlet_ceil_div(slice[1] * j->share, j->rows);
}

static void run_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const job *j = context;
    const martlet_paged_args *a = j->args;
    int64_t left = part / a->cache.kv_heads;
    for (int64_t s = 0; s < a->slice_count; s++) {
        const int32_t *slice = a->slices + s * MARTLET_SLICE_FIELDS;
        int64_t strips = strips_of(j, slice);
        if (left >= strips) {
            left -= strips;
            continue;
        }
        // A slice's last rows see the most: they go first.
        int64_t first = (strips - 1 - left) * j->rows;
        martlet_paged_strip strip = {
            .args = a, .slice = slice, .kv_head = part % a->cache.kv_heads, .first = first,
            .count = martlet_min(j->rows, slice[1] * j->share - first)};
        if (j->strip) {
            j->strip(&strip);
        } else {
            martlet_paged_tile t;
            martlet_paged_tile_of(&strip, 0, &t);
            j->function(&t);
        }
        return;
    }
}

// Rows of a part: as many as share what is made of keys, but few enough to keep threads busy.
static int64_t part_rows(const job *j, int64_t tiles, int32_t threads) {
    if (!j->strip) return MARTLET_PAGED_ROWS;
    int64_t fit = 512 / j->args->cache.head_size;
    int64_t even = tiles * j->args->cache.kv_heads / (4 * (int64_t)martlet_pool_threads(threads));
    int64_t most = martlet_min(MARTLET_PAGED_TILES, martlet_min(fit, even));
    return martlet_max(1, most) * MARTLET_PAGED_ROWS;
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
    job j = {.args = a, .function = level_function(), .strip = strip_function(a),
             .share = a->heads / c->kv_heads, .rows = MARTLET_PAGED_ROWS};
    int64_t tiles = 0, parts = 0;
    for (int64_t s = 0; s < a->slice_count; s++) {
        const int32_t *slice = a->slices + s * MARTLET_SLICE_FIELDS;
        if (!slice_is_inside(a, slice)) return -1;
        tiles += strips_of(&j, slice);
    }
    j.rows = part_rows(&j, tiles, threads);
    for (int64_t s = 0; s < a->slice_count; s++)
        parts += strips_of(&j, a->slices + s * MARTLET_SLICE_FIELDS) * c->kv_heads;
    if (parts > INT32_MAX) return -1;
    martlet_parallel_for((int32_t)parts, threads, run_part, &j);
    return 0;
}
