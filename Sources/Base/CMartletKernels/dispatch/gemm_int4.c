// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Panels of 32 columns hold 16 bytes a row of K (column j low, column j + 16 high), then come
// scales and offsets by block. A chunk of a panel is turned into floats in L1 and multiplied by all
// rows there are: the cost of turning is shared by them, and for one row memory is what counts.
#include "product.h"

enum { CHUNK = 128, PANEL_BYTES = MARTLET_PANEL / 2, ROWS = MARTLET_BLOCK_ROWS };

typedef struct {
    int64_t panels, blocks;
    const uint8_t *nibbles;        // [panel][k][16]
    const float *scales, *offsets; // [panel][block][32]: weight = nibble * scale + offset
} layout;

static layout layout_of(int64_t k, int64_t n, int64_t block, const void *packed) {
    layout l = {martlet_ceil_div(n, MARTLET_PANEL), martlet_ceil_div(k, block), packed, 0, 0};
    l.scales =
        (const float *)(l.nibbles + martlet_round_up(l.panels * k * PANEL_BYTES, 64));
    l.offsets = l.scales + l.panels * l.blocks * MARTLET_PANEL;
    return l;
}

size_t martlet_gemm_int4_pack_b_bytes(int64_t k, int64_t n, int64_t block) {
    layout l = layout_of(k, n, block, NULL);
    return (size_t)((const char *)(l.offsets + l.panels * l.blocks * MARTLET_PANEL) -
                    (const char *)l.nibbles);
}

typedef struct {
    const martlet_int4_source *s;
    layout l;
} pack_job;

static void pack_part(void *context, int32_t part, int32_t parts) {
    const pack_job *j = context;
    const martlet_int4_source *s = j->s;
    int64_t from, to;
    martlet_share(j->l.panels, part, parts, &from, &to);
    for (int64_t q = from; q < to; q++) {
        uint8_t *nibbles = (uint8_t *)j->l.nibbles + q * s->k * PANEL_BYTES;
        float *scales = (float *)j->l.scales + q * j->l.blocks * MARTLET_PANEL;
        float *offsets = (float *)j->l.offsets + q * j->l.blocks * MARTLET_PANEL;
        memset(nibbles, 0, (size_t)(s->k * PANEL_BYTES));
        for (int64_t c = 0; c < MARTLET_PANEL; c++) {
            int64_t column = q * MARTLET_PANEL + c;
            for (int64_t b = 0; b < j->l.blocks; b++) {
                int64_t at = b * s->scale_row_stride + column * s->scale_column_stride;
                float scale = column < s->n ? s->scales[at] : 0;
                float zero = column < s->n && s->zeros ? s->zeros[at] : 0;
                scales[b * MARTLET_PANEL + c] = scale;
                // Signed nibbles are stored 8 higher.
                offsets[b * MARTLET_PANEL + c] = -scale * (zero + (s->is_signed ? 8 : 0));
            }
            if (column >= s->n) continue;
            for (int64_t p = 0; p < s->k; p++) {
                int64_t at = p * s->row_stride + column * s->column_stride;
                int nibble = s->b[at / 2] >> at % 2 * 4 & 15;
                if (s->is_signed) nibble ^= 8;
                nibbles[p * PANEL_BYTES + c % 16] |= (uint8_t)(nibble << c / 16 * 4);
            }
        }
    }
}

void martlet_gemm_int4_pack_b(
    const martlet_int4_source *source, void *packed, int32_t threads) {
    pack_job j = {source, layout_of(source->k, source->n, source->block, packed)};
    martlet_parallel_for(
        martlet_parts(source->k * source->n * 4, j.l.panels, threads), threads, pack_part, &j);
}

typedef struct {
    const martlet_gemm_f32_args *g;
    layout l;
    int64_t block, rows, row_blocks, panels;   // rows and panels of a part
    char *scratch;
    size_t slot_bytes;
} job;

// Floats of a chunk of a panel, of the rows' chunk and a gap.
static size_t slot_bytes(int64_t m) {
    int64_t floats = CHUNK * MARTLET_PANEL + martlet_min(m, ROWS) * (CHUNK + 16);
    return (size_t)martlet_round_up(floats * (int64_t)sizeof(float), 4096);
}

size_t martlet_gemm_int4_scratch_bytes(int64_t m, int64_t n, int64_t k, int32_t threads) {
    (void)n;
    (void)k;
    return slot_bytes(m) * (size_t)martlet_pool_threads(threads);
}

// Rows [k0, k1) of a panel as floats; a block has one scale a column.
static void unpack(const job *j, int64_t panel, int64_t k0, int64_t k1, float *to) {
    for (int64_t p = k0; p < k1;) {
        int64_t b = p / j->block, end = martlet_min((b + 1) * j->block, k1);
        int64_t at = (panel * j->l.blocks + b) * MARTLET_PANEL;
        martlet_table()->unpack_int4(
            j->l.nibbles + (panel * j->g->k + p) * PANEL_BYTES, j->l.scales + at,
            j->l.offsets + at, to + (p - k0) * MARTLET_PANEL, end - p);
        p = end;
    }
}

static void multiply_panel(
    const job *j, int64_t panel, int64_t m0, int64_t m1, int64_t k0, int64_t k1,
    const float *rows, const float *weights) {
    const martlet_gemm_f32_args *g = j->g;
    const martlet_epilogue_f32 *e = &g->epilogue;
    const martlet_kernel_table *table = martlet_table();
    int64_t n = panel * MARTLET_PANEL;
    int last = k1 == g->k;
    martlet_tile_f32 t = {
        .a_row_stride = CHUNK + 16, .b = weights, .k = k1 - k0, .taps = 1,
        .c_row_stride = g->c_row_stride, .residual_stride = e->residual_stride,
        .alpha = g->alpha, .accumulate = k0 > 0, .bias = e->bias && k0 == 0 ? e->bias + n : NULL,
        .columns = (int32_t)martlet_min(MARTLET_PANEL, g->n - n)};
    int after = martlet_tile_clip(e, &t) && last;
    t.clip = t.clip && last;
    for (int64_t m = m0; m < m1;) {
        int64_t step = martlet_tile_step(m1 - m, table->tile_rows);
        t.a = rows + (m - m0) * t.a_row_stride;
        t.c = g->c + m * g->c_row_stride + n;
        t.residual = e->residual && k0 == 0 ? e->residual + m * e->residual_stride + n : NULL;
        table->tiles[step](&t);
        if (after)
            table->activate(
                e->activation, t.c, step, t.columns, g->c_row_stride, e->minimum, e->maximum);
        m += step;
    }
}

static void int4_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const job *j = context;
    const martlet_gemm_f32_args *g = j->g;
    int64_t m0 = part % j->row_blocks * j->rows, m1 = martlet_min(m0 + j->rows, g->m);
    int64_t q0 = part / j->row_blocks * j->panels;
    int64_t q1 = martlet_min(q0 + j->panels, j->l.panels);
    float *weights = (float *)(j->scratch + (size_t)martlet_parallel_slot() * j->slot_bytes);
    float *rows = weights + CHUNK * MARTLET_PANEL;
    for (int64_t k0 = 0; k0 == 0 || k0 < g->k; k0 += CHUNK) {
        int64_t k1 = martlet_min(k0 + CHUNK, g->k);
        for (int64_t m = m0; m < m1; m++)
            memcpy(
                rows + (m - m0) * (CHUNK + 16), g->a + m * g->a_row_stride + k0,
                (size_t)(k1 - k0) * sizeof(float));
        for (int64_t q = q0; q < q1; q++) {
            unpack(j, q, k0, k1, weights);
            multiply_panel(j, q, m0, m1, k0, k1, rows, weights);
        }
    }
}

void martlet_gemm_int4(
    const martlet_gemm_f32_args *g, int64_t block, void *scratch, int32_t threads) {
    if (g->m <= 0 || g->n <= 0) return;
    threads = martlet_pool_threads(threads);
    job j = {.g = g, .l = layout_of(g->k, g->n, block, g->packed_b), .block = block,
             .rows = martlet_min(g->m, ROWS), .scratch = scratch, .slot_bytes = slot_bytes(g->m)};
    j.row_blocks = martlet_ceil_div(g->m, j.rows);
    int64_t wanted = threads == 1 || g->m * g->n * g->k < (1 << 18) ? 1 : threads * 4;
    int64_t cuts = martlet_min(martlet_ceil_div(wanted, j.row_blocks), j.l.panels);
    j.panels = martlet_ceil_div(j.l.panels, cuts);
    int64_t parts = j.row_blocks * martlet_ceil_div(j.l.panels, j.panels);
    martlet_parallel_for((int32_t)parts, threads, int4_part, &j);
}
