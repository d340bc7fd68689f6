// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "product.h"

size_t martlet_gemm_f32_pack_b_bytes(int64_t k, int64_t n) {
    return (size_t)(martlet_round_up(n, MARTLET_PANEL) * k) * sizeof(float);
}

typedef struct {
    const float *b;
    int64_t row_stride, column_stride, k, n;
    float *packed;
} pack_job;

static void pack_part(void *context, int32_t part, int32_t parts) {
    const pack_job *j = context;
    int64_t from, to;
    martlet_share(martlet_ceil_div(j->n, MARTLET_PANEL), part, parts, &from, &to);
    for (int64_t q = from; q < to; q++) {
        int64_t n = q * MARTLET_PANEL;
        martlet_pack_panel(
            j->b + n * j->column_stride, j->row_stride, j->column_stride, j->k,
            martlet_min(MARTLET_PANEL, j->n - n), j->packed + n * j->k);
    }
}

static void pack(
    const float *b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t n,
    float *packed, int32_t threads) {
    pack_job j = {b, row_stride, column_stride, k, n, packed};
    martlet_parallel_for(
        martlet_parts(k * n, martlet_ceil_div(n, MARTLET_PANEL), threads), threads, pack_part, &j);
}

void martlet_gemm_f32_pack_b(
    const float *b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t n, void *packed) {
    pack(b, row_stride, column_stride, k, n, packed, 0);
}

size_t martlet_gemm_f32_scratch_bytes(int64_t m, int64_t n, int64_t k, int32_t threads) {
    (void)n;
    return martlet_product_block_bytes(m, k) * (size_t)martlet_pool_threads(threads);
}

// A product that one tile a panel does: what goes before larger ones would take as long.
static int is_small(const martlet_gemm_f32_args *g, int32_t tile_rows) {
    return g->m > 0 && g->m <= tile_rows && g->n > 0 && g->k <= 384 &&
           (g->m < 4 || g->n <= 2 * MARTLET_PANEL) && g->m * g->n * g->k < (1 << 16);
}

static void small_product(const martlet_gemm_f32_args *g, const martlet_kernel_table *table) {
    const martlet_epilogue_f32 *e = &g->epilogue;
    martlet_tile_f32 t = {
        .a = g->a, .a_row_stride = g->a_row_stride, .b = g->packed_b, .k = g->k, .taps = 1,
        .c = g->c, .c_row_stride = g->c_row_stride, .bias = e->bias, .residual = e->residual,
        .residual_stride = e->residual_stride, .alpha = g->alpha};
    int after = martlet_tile_clip(e, &t);
    for (int64_t n = 0; n < g->n; n += MARTLET_PANEL) {
        t.columns = (int32_t)martlet_min(MARTLET_PANEL, g->n - n);
        table->tiles[g->m](&t);
        if (after)
            table->activate(
                e->activation, t.c, g->m, t.columns, g->c_row_stride, e->minimum, e->maximum);
        t.b += MARTLET_PANEL * g->k;
        t.c += MARTLET_PANEL;
        if (t.bias) t.bias += MARTLET_PANEL;
        if (t.residual) t.residual += MARTLET_PANEL;
    }
}

void martlet_gemm_f32(const martlet_gemm_f32_args *g, void *scratch, int32_t threads) {
    const martlet_kernel_table *table = martlet_table();
    if (is_small(g, table->tile_rows)) {
        small_product(g, table);
        return;
    }
    martlet_product p = {g->m, g->n, g->k, g->a, g->a_row_stride, 1, g->packed_b, g->c,
                         g->c_row_stride, g->alpha, g->epilogue};
    martlet_product_parallel(&p, scratch, threads);
}

// A batch of products: many run side by side, each serially; few run one by one, each in parallel.
typedef struct {
    const martlet_matmul_f32_args *args;
    char *scratch;
    size_t packed_bytes, slot_bytes;
} batch_job;

static int side_by_side(const martlet_matmul_f32_args *g, int32_t threads) {
    return threads == 1 || g->batch >= 2 * threads || g->m * g->n * g->k < (1 << 18);
}

static martlet_product nth_product(
    const martlet_matmul_f32_args *g, int64_t i, const float *packed) {
    martlet_product p = {g->m, g->n, g->k, g->a + i * g->a_batch_stride, g->a_row_stride,
                         g->a_column_stride, packed, g->c + i * g->c_batch_stride,
                         g->c_row_stride, g->alpha, g->epilogue};
    if (p.epilogue.residual) p.epilogue.residual += i * g->c_batch_stride;
    if (p.k <= 1) p.a_column = 1;
    return p;
}

static void batch_part(void *context, int32_t part, int32_t parts) {
    const batch_job *j = context;
    const martlet_matmul_f32_args *g = j->args;
    int64_t from, to;
    martlet_share(g->batch, part, parts, &from, &to);
    char *scratch = j->scratch + (size_t)martlet_parallel_slot() * j->slot_bytes;
    for (int64_t i = from; i < to; i++) {
        float *packed = (float *)scratch;
        if (i == from || g->b_batch_stride != 0)
            pack(g->b + i * g->b_batch_stride, g->b_row_stride, g->b_column_stride, g->k, g->n,
                 packed, 1);
        martlet_product p = nth_product(g, i, packed);
        martlet_product_serial(&p, (float *)(scratch + j->packed_bytes));
    }
}

size_t martlet_matmul_f32_scratch_bytes(const martlet_matmul_f32_args *g, int32_t threads) {
    size_t packed = (size_t)martlet_round_up(
        (int64_t)martlet_gemm_f32_pack_b_bytes(g->k, g->n), 4096);
    return (packed + martlet_product_block_bytes(g->m, g->k)) *
           (size_t)martlet_pool_threads(threads);
}

void martlet_matmul_f32(const martlet_matmul_f32_args *g, void *scratch, int32_t threads) {
    if (g->batch <= 0 || g->m <= 0 || g->n <= 0) return;
    threads = martlet_pool_threads(threads);
    size_t packed_bytes = (size_t)martlet_round_up(
        (int64_t)martlet_gemm_f32_pack_b_bytes(g->k, g->n), 4096);
    if (side_by_side(g, threads)) {
        batch_job j = {g, scratch, packed_bytes,
                       packed_bytes + martlet_product_block_bytes(g->m, g->k)};
        int64_t effort = g->batch * (g->m * g->n * g->k / 16 + g->n * g->k + g->m * g->n);
        martlet_parallel_for(
            martlet_parts(effort, g->batch, threads), threads, batch_part, &j);
        return;
    }
    for (int64_t i = 0; i < g->batch; i++) {
        float *packed = scratch;
        if (i == 0 || g->b_batch_stride != 0)
            pack(g->b + i * g->b_batch_stride, g->b_row_stride, g->b_column_stride, g->k, g->n,
                 packed, threads);
        martlet_product p = nth_product(g, i, packed);
        martlet_product_parallel(&p, (float *)((char *)scratch + packed_bytes), threads);
    }
}
