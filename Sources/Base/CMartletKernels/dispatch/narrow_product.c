// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "narrow_product.h"

#include "product.h"

enum { BLOCK_BYTES = 512 << 10 };  // of converted rows, so that they stay in L2

typedef struct {
    const martlet_narrow_product *p;
    int64_t row_groups;       // between two rows; not a multiple of 4 KiB
    char *scratch;
    size_t slot_bytes;
    int64_t rows;             // of the largest block
    martlet_cut cut;
    int32_t converted;        // all rows lie in the first slot
} job;

static int64_t row_groups(martlet_narrow type, int64_t k) {
    return martlet_round_up(martlet_groups(type, k), 16) + 16;
}

static int64_t chunks_of(int64_t k) {
    return martlet_max(martlet_ceil_div(k, MARTLET_NARROW_CHUNK), 1);
}

// Rows, their scales, their sums, and a block of answers on its way to 8 bits.
static size_t slot_bytes(
    martlet_narrow type, int64_t rows, int64_t k, int32_t sums, int32_t narrow) {
    int64_t padded = martlet_round_up(rows, 16);
    int64_t words = rows * row_groups(type, k) + padded * (sums ? 1 + chunks_of(k) : 1);
    if (narrow) words += padded * MARTLET_PANEL;
    return (size_t)martlet_round_up(words * (int64_t)sizeof(uint32_t), 4096);
}

static int64_t block_rows(martlet_narrow type, int64_t m, int64_t k) {
    int64_t fit = BLOCK_BYTES / (row_groups(type, k) * 4) / 14 * 14;
    return martlet_min(m, martlet_max(martlet_min(fit, MARTLET_BLOCK_ROWS), 28));
}

static martlet_left_rows place(const job *j, char *slot, int64_t rows) {
    martlet_left_rows to = {.groups = (uint32_t *)slot, .stride = j->row_groups};
    to.scales = (float *)slot + rows * j->row_groups;
    to.sums_stride = martlet_round_up(rows, 16);
    to.sums = j->p->left.wants_sums ? (int32_t *)to.scales + to.sums_stride : NULL;
    return to;
}

static float *answers(const job *j, char *slot, int64_t rows) {
    martlet_left_rows at = place(j, slot, rows);
    int64_t chunks = at.sums ? chunks_of(j->p->left.k) : 0;
    return at.scales + at.sums_stride * (1 + chunks);
}

static martlet_left_rows from_row(martlet_left_rows rows, int64_t m) {
    rows.groups += m * rows.stride;
    rows.scales += m;
    if (rows.sums) rows.sums += m;
    return rows;
}

static void convert_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    int64_t from, to;
    martlet_share(j->p->m, part, parts, &from, &to);
    martlet_left_rows rows = from_row(place(j, j->scratch, j->p->m), from);
    j->p->left.convert(&j->p->left, from, to, &rows);
}

// --- Blocks

typedef struct {
    const job *j;
    martlet_left_rows rows;   // of row m0
    int64_t m0, m1;
    float *c;                 // of row m0 and column n, wherever answers go first
    int64_t c_stride;
} strip;

// One panel of columns, one chunk of K.
static void multiply_panel(const strip *s, int64_t n, int64_t columns, int64_t chunk) {
    const martlet_narrow_product *p = s->j->p;
    const martlet_epilogue_f32 *e = &p->epilogue;
    const martlet_narrow_table *table = martlet_narrow_tiles(p->left.type);
    int64_t values = martlet_group_values(p->left.type);
    int64_t from = chunk * MARTLET_NARROW_CHUNK / values;
    int64_t to = martlet_min(from + MARTLET_NARROW_CHUNK / values, p->b.groups);
    int last = chunk + 1 == p->b.chunks;
    martlet_tile_narrow t = {
        .f = {.c_row_stride = s->c_stride, .residual_stride = e->residual_stride,
              .alpha = p->alpha, .accumulate = chunk > 0, .columns = (int32_t)columns,
              .bias = e->bias && chunk == 0 ? e->bias + n : NULL},
        .a_row_stride = s->rows.stride, .groups = to - from,
        .b = p->b.panels + n * p->b.groups + from * MARTLET_PANEL,
        .column_scales = p->b.scales + n, .starts = p->b.starts + chunk * p->b.columns + n,
        .column_zeros = p->zeros ? p->zeros + n : NULL};
    int after = martlet_tile_clip(e, &t.f) && last;
    t.f.clip = t.f.clip && last;
    for (int64_t m = s->m0; m < s->m1;) {
        int64_t step = martlet_tile_step(s->m1 - m, table->tile_rows), at = m - s->m0;
        t.a = s->rows.groups + at * s->rows.stride + from;
        t.row_scales = s->rows.scales + at;
        t.row_sums =
            p->zeros ? s->rows.sums + chunk * s->rows.sums_stride + at : NULL;
        t.f.c = s->c + at * s->c_stride;
        t.f.residual =
            e->residual && chunk == 0 ? e->residual + m * e->residual_stride + n : NULL;
        table->tiles[step](&t);
        if (after && e->activation == MARTLET_ACTIVATION_GELU_ERF)
            martlet_table()->gelu_rough(t.f.c, step, columns, s->c_stride);
        else if (after)
            martlet_table()->activate(
                e->activation, t.f.c, step, columns, s->c_stride, e->minimum, e->maximum);
        m += step;
    }
}

static void multiply_block(
    const job *j, int64_t m0, int64_t m1, int64_t n0, int64_t n1, martlet_left_rows rows,
    float *block) {
    const martlet_narrow_product *p = j->p;
    strip s = {j, rows, m0, m1, block, MARTLET_PANEL};
    if (!p->narrow) {
        s.c_stride = p->c_row_stride;
        for (int64_t chunk = 0; chunk < p->b.chunks; chunk++)
            for (int64_t n = n0; n < n1; n += MARTLET_PANEL) {
                s.c = p->c + m0 * p->c_row_stride + n;
                multiply_panel(&s, n, martlet_min(MARTLET_PANEL, n1 - n), chunk);
            }
        return;
    }
    const martlet_requantize *q = p->narrow;
    for (int64_t n = n0; n < n1; n += MARTLET_PANEL) {
        int64_t columns = martlet_min(MARTLET_PANEL, n1 - n);
        for (int64_t chunk = 0; chunk < p->b.chunks; chunk++)
            multiply_panel(&s, n, columns, chunk);
        for (int64_t m = m0; m < m1; m++)
            martlet_table()->quantize(
                block + (m - m0) * MARTLET_PANEL, (uint8_t *)q->y + m * q->row_stride + n,
                columns, q->scale, q->zero, q->is_signed);
    }
}

static void block_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const job *j = context;
    const martlet_narrow_product *p = j->p;
    int64_t rows_of[2], columns_of[2];
    martlet_cut_block(&j->cut, part, p->m, p->n, rows_of, columns_of);
    int64_t m0 = rows_of[0], m1 = rows_of[1], n0 = columns_of[0], n1 = columns_of[1];
    if (j->converted) {
        // The slots of blocks of answers lie behind the rows.
        char *room = (char *)answers(j, j->scratch, p->m);
        float *block = (float *)room + (size_t)martlet_parallel_slot() *
                                           (size_t)martlet_round_up(j->rows, 16) * MARTLET_PANEL;
        multiply_block(j, m0, m1, n0, n1, from_row(place(j, j->scratch, p->m), m0), block);
        return;
    }
    char *slot = j->scratch + (size_t)martlet_parallel_slot() * j->slot_bytes;
    martlet_left_rows rows = place(j, slot, j->rows);
    p->left.convert(&p->left, m0, m1, &rows);
    multiply_block(j, m0, m1, n0, n1, rows, answers(j, slot, j->rows));
}

// Tall products are cut by rows, each block converting its own; others convert all rows once.
static int64_t tall(int32_t threads) { return (int64_t)threads * 4 * 56; }

size_t martlet_narrow_product_scratch_bytes(
    martlet_narrow type, int64_t m, int64_t k, int32_t sums, int32_t narrow, int32_t threads) {
    threads = martlet_pool_threads(threads);
    int64_t most = block_rows(type, m, k), short_rows = martlet_min(m, tall(threads));
    size_t whole = slot_bytes(type, short_rows, k, sums, 0);
    if (narrow)
        whole += (size_t)(martlet_round_up(most, 16) * MARTLET_PANEL * threads * 4);
    size_t blocks = slot_bytes(type, most, k, sums, narrow) * (size_t)threads;
    return whole > blocks ? whole : blocks;
}

void martlet_narrow_product_run(
    const martlet_narrow_product *p, void *scratch, int32_t threads) {
    if (p->m <= 0 || p->n <= 0) return;
    threads = martlet_pool_threads(threads);
    martlet_narrow type = p->left.type;
    int64_t k = p->left.k, panels = p->b.columns / MARTLET_PANEL;
    job j = {.p = p, .scratch = scratch, .row_groups = row_groups(type, k)};
    int64_t wanted = threads == 1 || p->m * p->n * k < (1 << 21) ? 1 : threads * 4;
    j.converted = wanted > 1 && p->m < tall(threads);
    if (j.converted)
        martlet_parallel_for(martlet_parts(p->m * k, p->m, threads), threads, convert_part, &j);
    j.cut = martlet_cut_make(
        p->m, panels, martlet_narrow_tiles(type)->tile_rows, block_rows(type, p->m, k), wanted,
        j.converted, threads);
    j.rows = martlet_cut_rows(&j.cut, p->m);
    j.slot_bytes = slot_bytes(type, j.rows, k, p->left.wants_sums, p->narrow != NULL);
    int64_t parts = j.cut.row_blocks * j.cut.column_blocks;
    martlet_parallel_for((int32_t)parts, threads, block_part, &j);
}
