// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "product.h"

static int64_t chunk_depth(int64_t k) {
    int64_t chunks = martlet_max(martlet_ceil_div(k, MARTLET_BLOCK_DEPTH), 1);
    return martlet_round_up(martlet_ceil_div(k, chunks), 16);
}

// An A block's rows are 16 floats longer than the chunk: a stride of 4 KiB would put all rows of a
// tile into one set of the L1 cache.
static int64_t block_stride(int64_t k) { return martlet_min(chunk_depth(k), k) + 16; }

size_t martlet_product_block_bytes(int64_t m, int64_t k) {
    int64_t rows = martlet_min(m, MARTLET_BLOCK_ROWS);
    return (size_t)martlet_round_up(rows * block_stride(k) * (int64_t)sizeof(float), 4096);
}

static void copy_block(
    const martlet_product *p, int64_t m0, int64_t m1, int64_t k0, int64_t depth, float *to,
    int64_t stride) {
    for (int64_t m = m0; m < m1; m++) {
        const float *from = p->a + m * p->a_row + k0 * p->a_column;
        float *row = to + (m - m0) * stride;
        if (p->a_column == 1)
            memcpy(row, from, (size_t)depth * sizeof(float));
        else
            for (int64_t i = 0; i < depth; i++) row[i] = from[i * p->a_column];
    }
}

void martlet_product_block(
    const martlet_product *p, int64_t m0, int64_t m1, int64_t n0, int64_t n1, float *scratch) {
    const martlet_kernel_table *table = martlet_table();
    const martlet_epilogue_f32 *e = &p->epilogue;
    int64_t chunk = chunk_depth(p->k);
    int64_t k0 = 0;
    do {
        int64_t depth = martlet_min(chunk, p->k - k0), last = k0 + depth >= p->k;
        const float *a = p->a + m0 * p->a_row + k0;
        int64_t a_row = p->a_row;
        if (p->a_column != 1 || (n1 - n0 > 64 && (p->k > 384 || p->a_row % 256 == 0))) {
            a_row = block_stride(p->k);
            copy_block(p, m0, m1, k0, depth, scratch, a_row);
            a = scratch;
        }
        martlet_tile_f32 t = {
            .a_row_stride = a_row, .k = depth, .taps = 1, .c_row_stride = p->c_row,
            .residual_stride = e->residual_stride, .alpha = p->alpha, .accumulate = k0 > 0};
        int after = martlet_tile_clip(e, &t) && last;
        t.clip = t.clip && last;
        for (int64_t n = n0; n < n1; n += MARTLET_PANEL) {
            t.b = p->b + n * p->k + k0 * MARTLET_PANEL;
            t.columns = (int32_t)martlet_min(MARTLET_PANEL, n1 - n);
            // Bias and residual go in with the first chunk: the residual may be C itself.
            t.bias = e->bias && k0 == 0 ? e->bias + n : NULL;
            for (int64_t m = m0; m < m1;) {
                int64_t rows = martlet_tile_step(m1 - m, table->tile_rows);
                t.a = a + (m - m0) * a_row;
                t.c = p->c + m * p->c_row + n;
                t.residual =
                    e->residual && k0 == 0 ? e->residual + m * e->residual_stride + n : NULL;
                table->tiles[rows](&t);
                if (after)
                    table->activate(e->activation, t.c, rows, t.columns, p->c_row, e->minimum,
                                    e->maximum);
                m += rows;
            }
        }
        k0 += depth;
    } while (k0 < p->k);
}

void martlet_product_serial(const martlet_product *p, float *scratch) {
    for (int64_t m = 0; m < p->m; m += MARTLET_BLOCK_ROWS)
        martlet_product_block(p, m, martlet_min(m + MARTLET_BLOCK_ROWS, p->m), 0, p->n, scratch);
}

typedef struct {
    const martlet_product *product;
    float *scratch;
    size_t slot_floats;
    martlet_cut cut;
} job;

static void product_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const job *j = context;
    const martlet_product *p = j->product;
    int64_t rows[2], columns[2];
    martlet_cut_block(&j->cut, part, p->m, p->n, rows, columns);
    martlet_product_block(
        p, rows[0], rows[1], columns[0], columns[1],
        j->scratch + (size_t)martlet_parallel_slot() * j->slot_floats);
}

void martlet_product_parallel(const martlet_product *p, float *scratch, int32_t threads) {
    if (p->m <= 0 || p->n <= 0) return;
    threads = martlet_pool_threads(threads);
    int64_t panels = martlet_ceil_div(p->n, MARTLET_PANEL);
    int64_t wanted = p->m * p->n * (p->k + 8) < (1 << 20) ? 1 : threads * 4;
    if (threads == 1 || wanted == 1) {
        martlet_product_serial(p, scratch);
        return;
    }
    // Tall products are cut by rows only, so that A is copied once; others by panels first.
    job j = {p, scratch, martlet_product_block_bytes(p->m, p->k) / sizeof(float),
             martlet_cut_make(
                 p->m, panels, martlet_table()->tile_rows, MARTLET_BLOCK_ROWS, wanted,
                 p->m < wanted * 56, threads)};
    int64_t parts = j.cut.row_blocks * j.cut.column_blocks;
    martlet_parallel_for((int32_t)parts, threads, product_part, &j);
}

void martlet_pack_panel(
    const float *b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t columns,
    float *to) {
    if (columns == MARTLET_PANEL && column_stride == 1) {
        for (int64_t p = 0; p < k; p++)
            memcpy(to + p * MARTLET_PANEL, b + p * row_stride, MARTLET_PANEL * sizeof(float));
        return;
    }
    if (columns < MARTLET_PANEL) memset(to, 0, (size_t)(k * MARTLET_PANEL) * sizeof(float));
    if (row_stride == 1)
        martlet_table()->transpose(b, column_stride, to, MARTLET_PANEL, columns, k);
    else
        for (int64_t p = 0; p < k; p++)
            for (int64_t j = 0; j < columns; j++)
                to[p * MARTLET_PANEL + j] = b[p * row_stride + j * column_stride];
}
