// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include <stdatomic.h>

#include "rows.h"

const martlet_rows_table *martlet_rows_level(void) {
#if defined(MARTLET_X86)
    martlet_level level = martlet_kernels_level();
    if (level >= MARTLET_LEVEL_AVX512 && __builtin_cpu_supports("avx512vnni") &&
        __builtin_cpu_supports("avx512bf16"))
        return &martlet_rows_avx512;
    if (level >= MARTLET_LEVEL_AVX2) return &martlet_rows_avx2;
#elif defined(MARTLET_ARM)
    if (martlet_kernels_level() == MARTLET_LEVEL_NEON) return &martlet_rows_neon;
#endif
    return &martlet_rows_plain;
}

int32_t martlet_rows_fit(martlet_rows rows, martlet_weights panels) {
    switch (panels) {
    case MARTLET_WEIGHTS_F32: case MARTLET_WEIGHTS_F16: return rows == MARTLET_ROWS_F32;
    case MARTLET_WEIGHTS_BF16: return rows == MARTLET_ROWS_F32 || rows == MARTLET_ROWS_BF16;
    case MARTLET_WEIGHTS_Q4_0: return rows == MARTLET_ROWS_INT8_8;
    case MARTLET_WEIGHTS_Q5_0: return rows == MARTLET_ROWS_INT8_16;
    case MARTLET_WEIGHTS_Q8_0: return rows == MARTLET_ROWS_INT8_128;
    case MARTLET_WEIGHTS_Q6_K: return rows == MARTLET_ROWS_INT8_32;
    default: return panels < MARTLET_WEIGHTS_COUNT && rows >= MARTLET_ROWS_INT8_8;
    }
}

static int64_t tile_bytes(martlet_rows type, int64_t n, int64_t k) {
    int64_t group = martlet_rows_group_bytes(type);
    if (type >= MARTLET_ROWS_INT8_8) group += (int64_t)sizeof(martlet_row_group);
    return martlet_row_groups(k) * group * martlet_rows_tile_size(n);
}

size_t martlet_rows_bytes(martlet_rows type, int64_t n, int64_t k) {
    if (n <= 0 || k <= 0) return 0;
    int64_t whole = n / MARTLET_ROWS_TILE, rest = n % MARTLET_ROWS_TILE;
    return (size_t)(whole * tile_bytes(type, MARTLET_ROWS_TILE, k) +
                    (rest ? tile_bytes(type, rest, k) : 0));
}

typedef struct {
    const martlet_rows_args *args;
    uint8_t *prepared;
} prepare_job;

static void prepare_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const prepare_job *j = context;
    const martlet_rows_args *a = j->args;
    int64_t from = (int64_t)part * MARTLET_ROWS_TILE;
    int64_t count = martlet_min(MARTLET_ROWS_TILE, a->n - from);
    uint8_t *tile = j->prepared + part * tile_bytes(a->type, 12, a->k);
    // Rows that only fill the tile up are zeros.
    if (martlet_rows_tile_size(count) != count)
        memset(tile, 0, (size_t)tile_bytes(a->type, count, a->k));
    martlet_rows_level()->prepare(a, from, count, tile);
}

void martlet_rows_prepare(const martlet_rows_args *args, void *prepared, int32_t threads) {
    if (args->n <= 0 || args->k <= 0) return;
    prepare_job j = {.args = args, .prepared = prepared};
    int64_t tiles = martlet_ceil_div(args->n, MARTLET_ROWS_TILE);
    if (args->n * args->k < (1 << 14)) threads = 1;
    martlet_parallel_for((int32_t)tiles, threads, prepare_part, &j);
}

// --- Products

typedef struct {
    const martlet_rows_product *p;
    const martlet_rows_function *tiles;
    int64_t panels, groups, panel_bytes, full_tile_bytes;
    _Atomic int64_t next;       // the first panel that nobody has taken
} job;

static void multiply_panel(const job *j, int64_t panel) {
    const martlet_rows_product *p = j->p;
    int64_t m0 = panel * MARTLET_ROWS_PANEL;
    const uint8_t *values = (const uint8_t *)p->packed + panel * j->panel_bytes;
    martlet_rows_tile t = {
        .values = values,
        .columns = (int32_t)martlet_min(MARTLET_ROWS_PANEL, p->m - m0), .c_stride = p->c_stride,
        .bias = p->bias ? p->bias + m0 : NULL, .residual_stride = p->residual_stride,
        .cap = p->cap};
    int64_t group_bytes = martlet_rows_group_bytes(p->type);
    for (t.from = 0; t.from < j->groups; t.from = t.to) {
        t.to = martlet_min(t.from + MARTLET_ROWS_DEPTH, j->groups);
        t.first = t.from == 0;
        t.last = t.to == j->groups;
        for (int64_t n = 0; n < p->n; n += MARTLET_ROWS_TILE) {
            t.stored = (int32_t)martlet_min(MARTLET_ROWS_TILE, p->n - n);
            t.size = martlet_rows_tile_size(t.stored);
            t.rows = (const uint8_t *)p->rows + n / MARTLET_ROWS_TILE * j->full_tile_bytes;
            t.groups = (const martlet_row_group *)(t.rows + j->groups * group_bytes * t.size);
            t.c = p->c + n * p->c_stride + m0;
            t.residual = p->residual ? p->residual + n * p->residual_stride + m0 : NULL;
            j->tiles[t.size](&t);
        }
    }
}

// Takes panels until none is left: many at a time first, so that memory is read in long runs, one
// in the end, so that all threads end together.
static void multiply_part(void *context, int32_t part, int32_t parts) {
    (void)part;
    job *j = context;
    for (;;) {
        int64_t from = atomic_load_explicit(&j->next, memory_order_relaxed), to;
        do {
            if (from >= j->panels) return;
            to = from + martlet_ceil_div(j->panels - from, 4 * (int64_t)parts);
        } while (!atomic_compare_exchange_weak_explicit(
            &j->next, &from, to, memory_order_relaxed, memory_order_relaxed));
        for (int64_t panel = from; panel < to; panel++) multiply_panel(j, panel);
    }
}

static const martlet_rows_function *tiles_for(martlet_rows rows, martlet_weights panels) {
    const martlet_rows_table *table = martlet_rows_level();
    if (rows == MARTLET_ROWS_BF16) return table->halves;
    return rows == MARTLET_ROWS_F32 ? table->floats[panels] : table->blocks[panels];
}

void martlet_rows_multiply(const martlet_rows_product *p, int32_t threads) {
    if (p->n <= 0 || p->m <= 0 || p->k <= 0 || !martlet_rows_fit(p->type, p->panels)) return;
    job j = {.p = p, .tiles = tiles_for(p->type, p->panels),
             .panels = martlet_ceil_div(p->m, MARTLET_ROWS_PANEL),
             .groups = martlet_row_groups(p->k)};
    j.panel_bytes = martlet_panel_bytes(p->panels, j.groups);
    j.full_tile_bytes = tile_bytes(p->type, MARTLET_ROWS_TILE, p->k);
    int64_t bytes = j.panels * j.panel_bytes;
    // Panels are worth handing over from about 5 microseconds on.
    int64_t effort = bytes / 65536 + p->n * p->m * p->k / (1 << 20);
    int64_t parts = effort < 2 ? 1 : martlet_min(martlet_pool_threads(threads), j.panels);
    martlet_parallel_for((int32_t)parts, threads, multiply_part, &j);
}
