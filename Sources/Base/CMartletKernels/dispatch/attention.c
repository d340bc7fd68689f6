// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Attention in blocks of queries: K is packed transposed and V as it is into 32-column panels once
// per head, then each block's scores (queries x keys, in cache) go through the register tile, the
// softmax and the tile again. The division by the softmax's sum is left to the output.
#include "product.h"

enum { BLOCK = 28, LONG_BLOCK = 14, LONG = 2048, SKEW = 16 };

typedef struct {
    const martlet_attention_f32_args *a;
    char *scratch;
    int64_t block, blocks, spans;    // queries of a block; blocks; shares of a head's blocks
    int64_t score_row;               // floats between the scores of two queries
    int64_t key_floats, value_floats;
    size_t slot_bytes;
} job;

static job job_of(const martlet_attention_f32_args *a) {
    job j = {.a = a};
    j.block = a->keys > LONG ? LONG_BLOCK : BLOCK;
    j.blocks = martlet_ceil_div(a->queries, j.block);
    int64_t keys = martlet_round_up(martlet_max(a->keys, 1), MARTLET_PANEL);
    j.score_row = keys + SKEW;
    j.key_floats = keys * a->head_size;
    j.value_floats = a->keys * martlet_round_up(a->value_size, MARTLET_PANEL);
    int64_t floats = j.key_floats + j.value_floats + j.block * j.score_row + keys;
    j.slot_bytes = (size_t)martlet_round_up(floats * (int64_t)sizeof(float), 4096);
    return j;
}

size_t martlet_attention_f32_scratch_bytes(
    const martlet_attention_f32_args *args, int32_t threads) {
    return job_of(args).slot_bytes * (size_t)martlet_pool_threads(threads);
}

// Keys that query i of batch entry b may see.
static int64_t visible(const martlet_attention_f32_args *a, int64_t b, int64_t i) {
    int64_t keys = a->keys;
    if (a->key_lengths) keys = martlet_min(keys, a->key_lengths[b]);
    if (a->causal) keys = martlet_min(keys, i + a->causal_offset + 1);
    return martlet_max(keys, 0);
}

static void pack_head(
    const job *j, const float *k, const float *v, int64_t keys, float *packed_k, float *packed_v) {
    const martlet_attention_f32_args *a = j->a;
    for (int64_t n = 0; n < keys; n += MARTLET_PANEL)
        martlet_pack_panel(
            k + n * a->k_row_stride, 1, a->k_row_stride, a->head_size,
            martlet_min(MARTLET_PANEL, keys - n), packed_k + n * a->head_size);
    for (int64_t d = 0; d < a->value_size; d += MARTLET_PANEL)
        martlet_pack_panel(
            v + d, a->v_row_stride, 1, keys, martlet_min(MARTLET_PANEL, a->value_size - d),
            packed_v + d * keys);
}

// c[rows][columns] = alpha * left[rows][depth] * panels.
static void multiply(
    const float *left, int64_t left_row, const float *panels, int64_t rows, int64_t depth,
    int64_t columns, float alpha, float *c, int64_t c_row) {
    const martlet_kernel_table *table = martlet_table();
    martlet_tile_f32 t = {
        .a_row_stride = left_row, .k = depth, .taps = 1, .c_row_stride = c_row, .alpha = alpha};
    for (int64_t n = 0; n < columns; n += MARTLET_PANEL) {
        t.b = panels + n * depth;
        t.columns = (int32_t)martlet_min(MARTLET_PANEL, columns - n);
        for (int64_t m = 0; m < rows;) {
            int64_t step = martlet_tile_step(rows - m, table->tile_rows);
            t.a = left + m * left_row;
            t.c = c + m * c_row + n;
            table->tiles[step](&t);
            m += step;
        }
    }
}

// The mask of one query as a contiguous row, in place if it is one.
static const float *mask_row(
    const martlet_attention_f32_args *a, int64_t b, int64_t h, int64_t i, int64_t keys,
    float *room) {
    if (!a->mask) return NULL;
    const float *mask = a->mask + b * a->mask_batch_stride + h * a->mask_head_stride +
                        i * a->mask_query_stride;
    if (a->mask_key_stride == 1) return mask;
    for (int64_t p = 0; p < keys; p++) room[p] = mask[p * a->mask_key_stride];
    return room;
}

static void soften(const job *j, float *row, int64_t n) {
    float cap = j->a->softcap;
    martlet_table()->scale(row, 1 / cap, n);
    martlet_table()->activate(MARTLET_ACTIVATION_TANH, row, 1, n, n, 0, 0);
    martlet_table()->scale(row, cap, n);
}

static void attend_block(
    const job *j, int64_t b, int64_t h, int64_t q0, int64_t rows, int64_t packed_keys,
    const float *packed_k, const float *packed_v, float *scores, float *room) {
    const martlet_attention_f32_args *a = j->a;
    const martlet_kernel_table *table = martlet_table();
    const float *q =
        a->q + b * a->q_batch_stride + h * a->q_head_stride + q0 * a->q_row_stride;
    float *o = a->o + b * a->o_batch_stride + h * a->o_head_stride + q0 * a->o_row_stride;
    int64_t keys = martlet_min(packed_keys, visible(a, b, q0 + rows - 1));
    float sums[BLOCK];
    multiply(q, a->q_row_stride, packed_k, rows, a->head_size, keys, a->scale, scores,
             j->score_row);
    for (int64_t i = 0; i < rows; i++) {
        float *row = scores + i * j->score_row;
        int64_t seen = martlet_min(keys, visible(a, b, q0 + i));
        if (a->softcap > 0) soften(j, row, seen);
        sums[i] = table->softmax_scores(row, mask_row(a, b, h, q0 + i, seen, room), seen);
        memset(row + seen, 0, (size_t)(keys - seen) * sizeof(float));
    }
    // The panels of V are packed_keys deep; the rows' scores end at keys.
    martlet_tile_f32 t = {
        .a_row_stride = j->score_row, .k = keys, .taps = 1, .c_row_stride = a->o_row_stride,
        .alpha = 1};
    for (int64_t d = 0; d < a->value_size; d += MARTLET_PANEL) {
        t.b = packed_v + d * packed_keys;
        t.columns = (int32_t)martlet_min(MARTLET_PANEL, a->value_size - d);
        for (int64_t m = 0; m < rows;) {
            int64_t step = martlet_tile_step(rows - m, table->tile_rows);
            t.a = scores + m * j->score_row;
            t.c = o + m * a->o_row_stride + d;
            table->tiles[step](&t);
            for (int64_t i = 0; i < step; i++)
                table->scale(t.c + i * a->o_row_stride, sums[m + i] > 0 ? 1 / sums[m + i] : 0,
                             t.columns);
            m += step;
        }
    }
}

static void attention_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const job *j = context;
    const martlet_attention_f32_args *a = j->a;
    int64_t span = part % j->spans, head = part / j->spans;
    int64_t b = head / a->heads, h = head % a->heads, group = h / (a->heads / a->kv_heads);
    int64_t from, to;
    martlet_share(j->blocks, (int32_t)span, (int32_t)j->spans, &from, &to);
    int64_t q_end = martlet_min(to * j->block, a->queries);
    int64_t keys = q_end > 0 ? visible(a, b, q_end - 1) : 0;
    float *packed_k =
        (float *)(j->scratch + (size_t)martlet_parallel_slot() * j->slot_bytes);
    float *packed_v = packed_k + j->key_floats, *scores = packed_v + j->value_floats;
    float *room = scores + j->block * j->score_row;
    pack_head(
        j, a->k + b * a->k_batch_stride + group * a->k_head_stride,
        a->v + b * a->v_batch_stride + group * a->v_head_stride, keys, packed_k, packed_v);
    for (int64_t q0 = from * j->block; q0 < q_end; q0 += j->block)
        attend_block(j, b, h, q0, martlet_min(j->block, q_end - q0), keys, packed_k, packed_v,
                     scores, room);
}

void martlet_attention_f32(
    const martlet_attention_f32_args *a, void *scratch, int32_t threads) {
    int64_t heads = a->batch * a->heads;
    if (heads <= 0 || a->queries <= 0 || a->value_size <= 0) return;
    job j = job_of(a);
    j.scratch = scratch;
    threads = martlet_pool_threads(threads);
    int64_t effort = heads * a->queries * a->keys * (a->head_size + a->value_size) / 32;
    int64_t wanted = effort < 65536 ? 1 : threads * 4;
    j.spans = martlet_min(martlet_ceil_div(wanted, heads), j.blocks);
    if (threads == 1) j.spans = 1;
    martlet_parallel_for(
        (int32_t)(heads * j.spans), effort < 65536 ? 1 : threads, attention_part, &j);
}
