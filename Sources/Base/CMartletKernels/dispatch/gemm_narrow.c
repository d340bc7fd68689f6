// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "narrow.h"
#include "product.h"

// --- Packing B

size_t martlet_gemm_narrow_pack_b_bytes(martlet_narrow type, int64_t k, int64_t n) {
    martlet_narrow_b b = martlet_narrow_layout(type, k, n, NULL);
    int64_t head = (const char *)b.panels - (const char *)b.scales;
    return (size_t)(head + b.columns * b.groups * (int64_t)sizeof(uint32_t));
}

typedef struct {
    martlet_narrow type;
    const float *b;
    int64_t row_stride, column_stride, k, n;
    void *packed;
} pack_job;

static void pack_panel_bf16(const pack_job *j, int64_t n0, uint32_t *to) {
    uint16_t *values = (uint16_t *)to;
    for (int64_t p = 0; p < j->k; p++)
        for (int64_t c = 0; c < martlet_min(MARTLET_PANEL, j->n - n0); c++)
            values[(p / 2 * MARTLET_PANEL + c) * 2 + p % 2] =
                martlet_bf16_of(j->b[p * j->row_stride + (n0 + c) * j->column_stride]);
}

static void pack_column_int8(
    const pack_job *j, const martlet_narrow_b *layout, int64_t column, uint32_t *panel) {
    const float *b = j->b + column * j->column_stride;
    int8_t *values = (int8_t *)panel + column % MARTLET_PANEL * 4;
    float most = 0;
    for (int64_t p = 0; p < j->k; p++) most = fmaxf(most, fabsf(b[p * j->row_stride]));
    // A weight that is not finite makes the column's answers NaN, as it would in f32.
    float scale = most < INFINITY ? most / 127 : NAN, inverse = scale > 0 ? 1 / scale : 0;
    ((float *)layout->scales)[column] = scale;
    for (int64_t chunk = 0; chunk < layout->chunks; chunk++) {
        int64_t from = chunk * MARTLET_NARROW_CHUNK;
        int64_t to = martlet_min(from + MARTLET_NARROW_CHUNK, j->k);
        int32_t sum = 0;
        for (int64_t p = from; p < to; p++) {
            float x = rintf(b[p * j->row_stride] * inverse);
            int8_t v = (int8_t)(x >= -127 ? x <= 127 ? x : 127 : -127);
            values[p / 4 * MARTLET_PANEL * 4 + p % 4] = v;
            sum += v;
        }
        ((int32_t *)layout->starts)[chunk * layout->columns + column] =
            -MARTLET_NARROW_ZERO * sum;
    }
}

static void pack_part(void *context, int32_t part, int32_t parts) {
    const pack_job *j = context;
    martlet_narrow_b layout = martlet_narrow_layout(j->type, j->k, j->n, j->packed);
    int64_t from, to;
    martlet_share(layout.columns / MARTLET_PANEL, part, parts, &from, &to);
    for (int64_t q = from; q < to; q++) {
        int64_t n0 = q * MARTLET_PANEL, n1 = martlet_min(n0 + MARTLET_PANEL, j->n);
        uint32_t *panel = (uint32_t *)layout.panels + n0 * layout.groups;
        memset(panel, 0, (size_t)(layout.groups * MARTLET_PANEL) * sizeof(uint32_t));
        if (j->type == MARTLET_NARROW_BF16)
            pack_panel_bf16(j, n0, panel);
        else
            for (int64_t n = n0; n < n1; n++) pack_column_int8(j, &layout, n, panel);
    }
}

void martlet_gemm_narrow_pack_b(
    martlet_narrow type, const float *b, int64_t row_stride, int64_t column_stride, int64_t k,
    int64_t n, void *packed, int32_t threads) {
    martlet_narrow_b layout = martlet_narrow_layout(type, k, n, packed);
    memset(packed, 0, (size_t)((const char *)layout.panels - (const char *)packed));
    pack_job j = {type, b, row_stride, column_stride, k, n, packed};
    martlet_parallel_for(
        martlet_parts(k * n * 2, layout.columns / MARTLET_PANEL, threads), threads, pack_part, &j);
}

// --- The left side, converted: rows of groups, then (int8) their scales

typedef struct {
    martlet_narrow type;
    const martlet_gemm_f32_args *args;
    martlet_narrow_b b;
    int64_t row_groups;       // between two rows; not a multiple of 4 KiB
    char *scratch;
    size_t slot_bytes;
    int64_t rows, columns, row_blocks;
    int32_t converted;        // all of A lies in the first slot
} job;

static int64_t row_groups(martlet_narrow type, int64_t k) {
    return martlet_round_up(martlet_groups(type, k), 16) + 16;
}

static size_t left_bytes(martlet_narrow type, int64_t rows, int64_t k) {
    int64_t words = rows * row_groups(type, k) + martlet_round_up(rows, 16);
    return (size_t)martlet_round_up(words * (int64_t)sizeof(uint32_t), 4096);
}

static uint32_t *left_rows(char *slot) { return (uint32_t *)slot; }
static float *left_scales(const job *j, char *slot, int64_t rows) {
    return (float *)slot + rows * j->row_groups;
}

// Rows [m0, m1) of A to rows [m0 - base, m1 - base) of the converted ones.
static void convert_rows(
    const job *j, int64_t m0, int64_t m1, int64_t base, uint32_t *rows, float *scales) {
    const martlet_gemm_f32_args *g = j->args;
    for (int64_t m = m0; m < m1; m++) {
        const float *x = g->a + m * g->a_row_stride;
        uint32_t *row = rows + (m - base) * j->row_groups;
        if (j->type == MARTLET_NARROW_INT8) {
            scales[m - base] = martlet_quantize_row(x, (uint8_t *)row, g->k);
        } else {
            martlet_table()->f32_to_bf16(x, (uint16_t *)row, g->k);
            if (g->k % 2) ((uint16_t *)row)[g->k] = 0;
        }
    }
}

static void convert_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    int64_t from, to;
    martlet_share(j->args->m, part, parts, &from, &to);
    convert_rows(
        j, from, to, 0, left_rows(j->scratch), left_scales(j, j->scratch, j->args->m));
}

// --- Blocks

// Rows [m0, m1), columns [n0, n1); row m's groups and scale are at m - base.
static void multiply_block(
    const job *j, int64_t m0, int64_t m1, int64_t n0, int64_t n1, int64_t base,
    const uint32_t *rows, const float *scales) {
    const martlet_gemm_f32_args *g = j->args;
    const martlet_narrow_table *table = martlet_narrow_tiles(j->type);
    const martlet_epilogue_f32 *e = &g->epilogue;
    int64_t values = martlet_group_values(j->type);
    for (int64_t chunk = 0; chunk < j->b.chunks; chunk++) {
        int64_t from = chunk * MARTLET_NARROW_CHUNK / values;
        int64_t to = martlet_min(from + MARTLET_NARROW_CHUNK / values, j->b.groups);
        int last = chunk + 1 == j->b.chunks;
        martlet_tile_narrow t = {
            .f = {.c_row_stride = g->c_row_stride, .residual_stride = e->residual_stride,
                  .alpha = g->alpha, .accumulate = chunk > 0},
            .a_row_stride = j->row_groups, .groups = to - from};
        int after = martlet_tile_clip(e, &t.f) && last;
        t.f.clip = t.f.clip && last;
        for (int64_t n = n0; n < n1; n += MARTLET_PANEL) {
            t.b = j->b.panels + n * j->b.groups + from * MARTLET_PANEL;
            t.f.columns = (int32_t)martlet_min(MARTLET_PANEL, n1 - n);
            t.f.bias = e->bias && chunk == 0 ? e->bias + n : NULL;
            t.column_scales = j->b.scales + n;
            t.starts = j->b.starts + chunk * j->b.columns + n;
            for (int64_t m = m0; m < m1;) {
                int64_t step = martlet_tile_step(m1 - m, table->tile_rows);
                t.a = rows + (m - base) * j->row_groups + from;
                t.row_scales = scales + (m - base);
                t.f.c = g->c + m * g->c_row_stride + n;
                t.f.residual =
                    e->residual && chunk == 0 ? e->residual + m * e->residual_stride + n : NULL;
                table->tiles[step](&t);
                if (after)
                    martlet_table()->activate(
                        e->activation, t.f.c, step, t.f.columns, g->c_row_stride, e->minimum,
                        e->maximum);
                m += step;
            }
        }
    }
}

static void block_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const job *j = context;
    const martlet_gemm_f32_args *g = j->args;
    int64_t m0 = part % j->row_blocks * j->rows, n0 = part / j->row_blocks * j->columns;
    int64_t m1 = martlet_min(m0 + j->rows, g->m), n1 = martlet_min(n0 + j->columns, g->n);
    if (j->converted) {
        multiply_block(
            j, m0, m1, n0, n1, 0, left_rows(j->scratch), left_scales(j, j->scratch, g->m));
        return;
    }
    char *slot = j->scratch + (size_t)martlet_parallel_slot() * j->slot_bytes;
    uint32_t *rows = left_rows(slot);
    float *scales = left_scales(j, slot, j->rows);
    convert_rows(j, m0, m1, m0, rows, scales);
    multiply_block(j, m0, m1, n0, n1, m0, rows, scales);
}

// Tall products are cut by rows, each block converting its own; others convert A once for all.
static int is_tall(int64_t m, int32_t threads) { return m >= (int64_t)threads * 4 * 56; }

size_t martlet_gemm_narrow_scratch_bytes(
    martlet_narrow type, int64_t m, int64_t n, int64_t k, int32_t threads) {
    (void)n;
    threads = martlet_pool_threads(threads);
    size_t whole = left_bytes(type, martlet_min(m, (int64_t)threads * 4 * 56), k);
    size_t blocks = left_bytes(type, martlet_min(m, MARTLET_BLOCK_ROWS), k) * (size_t)threads;
    return whole > blocks ? whole : blocks;
}

void martlet_gemm_narrow(
    martlet_narrow type, const martlet_gemm_f32_args *g, void *scratch, int32_t threads) {
    if (g->m <= 0 || g->n <= 0) return;
    threads = martlet_pool_threads(threads);
    job j = {.type = type, .args = g, .scratch = scratch, .row_groups = row_groups(type, g->k)};
    j.b = martlet_narrow_layout(type, g->k, g->n, g->packed_b);
    j.columns = j.b.columns;
    int64_t wanted = threads == 1 || g->m * g->n * g->k < (1 << 21) ? 1 : threads * 4;
    j.converted = wanted > 1 && !is_tall(g->m, threads);
    j.rows = martlet_min(g->m, MARTLET_BLOCK_ROWS);
    if (j.converted) {
        int64_t panels = j.b.columns / MARTLET_PANEL;
        j.columns = martlet_ceil_div(panels, martlet_min(panels, wanted)) * MARTLET_PANEL;
        wanted = martlet_ceil_div(wanted, martlet_ceil_div(g->n, j.columns));
        martlet_parallel_for(
            martlet_parts(g->m * g->k, g->m, threads), threads, convert_part, &j);
    }
    if (wanted > 1) {
        int64_t share = martlet_ceil_div(g->m, wanted);
        int64_t tile = martlet_narrow_tiles(type)->tile_rows;
        j.rows = martlet_min(j.rows, martlet_round_up(share, tile));
    }
    j.slot_bytes = left_bytes(type, j.rows, g->k);
    j.row_blocks = martlet_ceil_div(g->m, j.rows);
    int64_t parts = j.row_blocks * martlet_ceil_div(g->n, j.columns);
    martlet_parallel_for((int32_t)parts, threads, block_part, &j);
}

// --- Which tiles

const martlet_narrow_table *martlet_narrow_tiles(martlet_narrow type) {
    int bf16 = type == MARTLET_NARROW_BF16;
#if defined(MARTLET_X86)
    martlet_level level = martlet_kernels_level();
    if (martlet_gemm_narrow_is_fast(type))
        return bf16 ? &martlet_bf16_avx512 : &martlet_int8_avx512;
    if (level >= MARTLET_LEVEL_AVX2) return bf16 ? &martlet_bf16_avx2 : &martlet_int8_avx2;
#endif
    return bf16 ? &martlet_bf16_plain : &martlet_int8_plain;
}

int32_t martlet_gemm_narrow_is_fast(martlet_narrow type) {
#if defined(MARTLET_X86)
    if (martlet_kernels_level() < MARTLET_LEVEL_AVX512) return 0;
    return type == MARTLET_NARROW_BF16 ? __builtin_cpu_supports("avx512bf16") != 0
                                       : __builtin_cpu_supports("avx512vnni") != 0;
#else
    (void)type;
    return 0;
#endif
}
