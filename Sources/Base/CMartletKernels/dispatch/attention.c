// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Attention in blocks of queries: K is packed transposed and V as it is into 32-column panels once
// per head, then each block's scores (queries x keys, in cache) go through the register tile, the
// softmax and the tile again. The division by the softmax's sum is left to the output. In bf16 both
// products take pairs of values: of the head's dimensions, then of keys.
#include "narrow.h"
#include "product.h"

enum { BLOCK = 28, LONG_BLOCK = 14, LONG = 2048, SKEW = 16, AHEAD = 6 };

typedef struct {
    const martlet_attention_f32_args *a;
    char *scratch;
    int64_t block, blocks, spans;    // queries of a block; blocks; shares of a head's blocks
    int64_t score_row;               // floats between the scores of two queries
    int32_t narrow;                  // both products in bf16
    int64_t left_row;                // narrow: words between two rows of converted queries, weights
    int64_t key_words, value_words;  // packed K and V, 4 bytes each
    size_t slot_bytes;
} job;

// What a thread works in.
typedef struct {
    uint32_t *keys, *values, *left;
    float *scores, *mask;
} room;

static job job_of(const martlet_attention_f32_args *a, int32_t narrow) {
    job j = {.a = a, .narrow = narrow};
    j.block = a->keys > LONG ? LONG_BLOCK : BLOCK;
    j.blocks = martlet_ceil_div(a->queries, j.block);
    int64_t keys = martlet_round_up(martlet_max(a->keys, 1), MARTLET_PANEL);
    int64_t depth = narrow ? martlet_ceil_div(a->head_size, 2) : a->head_size;
    j.score_row = keys + SKEW;
    j.key_words = keys * depth;
    j.value_words = (narrow ? keys / 2 : a->keys) * martlet_round_up(a->value_size, MARTLET_PANEL);
    if (narrow) j.left_row = martlet_max(depth, keys / 2) + SKEW;
    // Before K is transposed into its panel, the panel's rows lie in left as well.
    int64_t words = j.key_words + j.value_words + j.block * j.score_row + keys +
                    martlet_max(j.block, MARTLET_PANEL) * j.left_row;
    j.slot_bytes = (size_t)martlet_round_up(words * (int64_t)sizeof(float), 4096);
    return j;
}

static room room_of(const job *j) {
    room r;
    r.keys = (uint32_t *)(j->scratch + (size_t)martlet_parallel_slot() * j->slot_bytes);
    r.values = r.keys + j->key_words;
    r.scores = (float *)(r.values + j->value_words);
    r.mask = r.scores + j->block * j->score_row;
    r.left = (uint32_t *)(r.mask + j->score_row - SKEW);
    return r;
}

size_t martlet_attention_f32_scratch_bytes(
    const martlet_attention_f32_args *args, int32_t threads) {
    return job_of(args, 0).slot_bytes * (size_t)martlet_pool_threads(threads);
}

size_t martlet_attention_bf16_scratch_bytes(
    const martlet_attention_f32_args *args, int32_t threads) {
    return job_of(args, 1).slot_bytes * (size_t)martlet_pool_threads(threads);
}

// Keys that query i of batch entry b may see.
static int64_t visible(const martlet_attention_f32_args *a, int64_t b, int64_t i) {
    int64_t keys = a->keys;
    if (a->key_lengths) keys = martlet_min(keys, a->key_lengths[b]);
    if (a->causal) keys = martlet_min(keys, i + a->causal_offset + 1);
    return martlet_max(keys, 0);
}

// Rows of one head lie far apart, out of the processor's own prefetching: they are asked for early.
static void fetch_rows(const float *x, int64_t stride, int64_t from, int64_t to, int64_t n) {
    for (int64_t row = from; row < to; row++)
        for (int64_t i = 0; i < n; i += 16) __builtin_prefetch(x + row * stride + i);
}

static void fetch_row(const float *x, int64_t stride, int64_t n) {
    fetch_rows(x, stride, AHEAD, AHEAD + 1, n);
}

static void to_pairs(const float *x, uint32_t *y, int64_t n) {
    martlet_table()->f32_to_bf16(x, (uint16_t *)y, n);
    if (n % 2) ((uint16_t *)y)[n] = 0;
}

static void pack_head_narrow(
    const job *j, const float *k, const float *v, int64_t keys, const room *r) {
    const martlet_attention_f32_args *a = j->a;
    const martlet_kernel_table *table = martlet_table();
    int64_t depth = martlet_ceil_div(a->head_size, 2), pairs = martlet_ceil_div(keys, 2);
    for (int64_t n = 0; n < keys; n += MARTLET_PANEL) {
        int64_t size = martlet_min(MARTLET_PANEL, keys - n);
        uint32_t *panel = r->keys + n * depth;
        for (int64_t i = 0; i < size; i++) {
            const float *row = k + (n + i) * a->k_row_stride;
            fetch_row(row, a->k_row_stride, a->head_size);
            to_pairs(row, r->left + i * j->left_row, a->head_size);
        }
        if (size < MARTLET_PANEL) memset(panel, 0, (size_t)(depth * MARTLET_PANEL) * sizeof *panel);
        // Only moves words: the values need not be floats.
        table->transpose(
            (const float *)r->left, j->left_row, (float *)panel, MARTLET_PANEL, size, depth);
    }
    for (int64_t d = 0; d < a->value_size; d += MARTLET_PANEL) {
        int64_t size = martlet_min(MARTLET_PANEL, a->value_size - d);
        uint32_t *panel = r->values + d * pairs;
        if (size < MARTLET_PANEL) memset(panel, 0, (size_t)(pairs * MARTLET_PANEL) * sizeof *panel);
        for (int64_t p = 0; p < pairs; p++) {
            const float *row = v + 2 * p * a->v_row_stride + d;
            fetch_row(row, a->v_row_stride, size);
            fetch_row(row + a->v_row_stride, a->v_row_stride, size);
            table->pairs_to_bf16(
                row, 2 * p + 1 < keys ? row + a->v_row_stride : NULL, panel + p * MARTLET_PANEL,
                size);
        }
    }
}

static void pack_head(
    const job *j, const float *k, const float *v, int64_t keys, const room *r) {
    const martlet_attention_f32_args *a = j->a;
    if (j->narrow) {
        pack_head_narrow(j, k, v, keys, r);
        return;
    }
    for (int64_t n = 0; n < keys; n += MARTLET_PANEL) {
        int64_t end = martlet_min(n + MARTLET_PANEL, keys);
        fetch_rows(
            k, a->k_row_stride, end, martlet_min(end + MARTLET_PANEL, keys), a->head_size);
        fetch_rows(v, a->v_row_stride, n, end, a->value_size);
        martlet_pack_panel(
            k + n * a->k_row_stride, 1, a->k_row_stride, a->head_size, end - n,
            (float *)r->keys + n * a->head_size);
    }
    for (int64_t d = 0; d < a->value_size; d += MARTLET_PANEL)
        martlet_pack_panel(
            v + d, a->v_row_stride, 1, keys, martlet_min(MARTLET_PANEL, a->value_size - d),
            (float *)r->values + d * keys);
}

// c[rows][columns] = alpha * left[rows][depth] * panels; a panel's columns are panel_depth deep.
typedef struct {
    const void *left;
    int64_t left_row;
    const void *panels;
    int64_t rows, depth, panel_depth, columns;
    float alpha;
    float *c;
    int64_t c_row;
} small_product;

static void multiply(const small_product *p) {
    const martlet_kernel_table *table = martlet_table();
    martlet_tile_f32 t = {
        .a_row_stride = p->left_row, .k = p->depth, .taps = 1, .c_row_stride = p->c_row,
        .alpha = p->alpha};
    for (int64_t n = 0; n < p->columns; n += MARTLET_PANEL) {
        t.b = (const float *)p->panels + n * p->panel_depth;
        t.columns = (int32_t)martlet_min(MARTLET_PANEL, p->columns - n);
        for (int64_t m = 0; m < p->rows;) {
            int64_t step = martlet_tile_step(p->rows - m, table->tile_rows);
            t.a = (const float *)p->left + m * p->left_row;
            t.c = p->c + m * p->c_row + n;
            table->tiles[step](&t);
            m += step;
        }
    }
}

static void multiply_narrow(const small_product *p) {
    const martlet_narrow_table *table = martlet_narrow_tiles(MARTLET_NARROW_BF16);
    martlet_tile_narrow t = {
        .f = {.c_row_stride = p->c_row, .alpha = p->alpha}, .a_row_stride = p->left_row,
        .groups = p->depth};
    for (int64_t n = 0; n < p->columns; n += MARTLET_PANEL) {
        t.b = (const uint32_t *)p->panels + n * p->panel_depth;
        t.f.columns = (int32_t)martlet_min(MARTLET_PANEL, p->columns - n);
        for (int64_t m = 0; m < p->rows;) {
            int64_t step = martlet_tile_step(p->rows - m, table->tile_rows);
            t.a = (const uint32_t *)p->left + m * p->left_row;
            t.f.c = p->c + m * p->c_row + n;
            table->tiles[step](&t);
            m += step;
        }
    }
}

// The mask of one query as a contiguous row, in place if it is one.
static const float *mask_row(
    const martlet_attention_f32_args *a, int64_t b, int64_t h, int64_t i, int64_t keys,
    float *copy) {
    if (!a->mask) return NULL;
    const float *mask = a->mask + b * a->mask_batch_stride + h * a->mask_head_stride +
                        i * a->mask_query_stride;
    if (a->mask_key_stride == 1) return mask;
    for (int64_t p = 0; p < keys; p++) copy[p] = mask[p * a->mask_key_stride];
    return copy;
}

static void soften(const job *j, float *row, int64_t n) {
    float cap = j->a->softcap;
    martlet_table()->scale(row, 1 / cap, n);
    martlet_table()->activate(MARTLET_ACTIVATION_TANH, row, 1, n, n, 0, 0);
    martlet_table()->scale(row, cap, n);
}

// The weights of one query before their division by the sum, which it gives; zeros from seen on.
static float weigh(
    const job *j, const room *r, int64_t i, int64_t seen, int64_t keys, const float *mask) {
    float *row = r->scores + i * j->score_row;
    if (j->a->softcap > 0) soften(j, row, seen);
    if (j->narrow) {
        uint16_t *weights = (uint16_t *)(r->left + i * j->left_row);
        float sum = martlet_table()->softmax_scores_bf16(row, mask, weights, seen);
        memset(weights + seen, 0, (size_t)(keys + keys % 2 - seen) * sizeof *weights);
        return sum;
    }
    float sum = martlet_table()->softmax_scores(row, mask, seen);
    memset(row + seen, 0, (size_t)(keys - seen) * sizeof *row);
    return sum;
}

static void attend_block(
    const job *j, int64_t b, int64_t h, int64_t q0, int64_t rows, int64_t packed_keys,
    const room *r) {
    const martlet_attention_f32_args *a = j->a;
    const float *q =
        a->q + b * a->q_batch_stride + h * a->q_head_stride + q0 * a->q_row_stride;
    float *o = a->o + b * a->o_batch_stride + h * a->o_head_stride + q0 * a->o_row_stride;
    int64_t keys = martlet_min(packed_keys, visible(a, b, q0 + rows - 1));
    float sums[BLOCK];
    small_product p = {q, a->q_row_stride, r->keys, rows, a->head_size, a->head_size, keys,
                       a->scale, r->scores, j->score_row};
    if (j->narrow) {
        for (int64_t i = 0; i < rows; i++) {
            fetch_row(q + i * a->q_row_stride, a->q_row_stride, a->head_size);
            to_pairs(q + i * a->q_row_stride, r->left + i * j->left_row, a->head_size);
        }
        p.left = r->left;
        p.left_row = j->left_row;
        p.depth = p.panel_depth = martlet_ceil_div(a->head_size, 2);
        multiply_narrow(&p);
    } else
        multiply(&p);
    for (int64_t i = 0; i < rows; i++) {
        int64_t seen = martlet_min(keys, visible(a, b, q0 + i));
        sums[i] = weigh(
            j, r, i, seen, keys, mask_row(a, b, h, q0 + i, seen, r->mask));
    }
    // The panels of V are packed_keys deep; the rows' weights end at keys.
    p = (small_product){r->scores, j->score_row, r->values, rows, keys, packed_keys,
                        a->value_size, 1, o, a->o_row_stride};
    if (j->narrow) {
        p.left = r->left;
        p.left_row = j->left_row;
        p.depth = martlet_ceil_div(keys, 2);
        p.panel_depth = martlet_ceil_div(packed_keys, 2);
        multiply_narrow(&p);
    } else
        multiply(&p);
    for (int64_t i = 0; i < rows; i++) {
        float factor = sums[i] > 0 ? 1 / sums[i] : sums[i] == 0 ? 0 : NAN;
        martlet_table()->scale(o + i * a->o_row_stride, factor, a->value_size);
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
    room r = room_of(j);
    const float *q = a->q + b * a->q_batch_stride + h * a->q_head_stride;
    fetch_rows(
        q, a->q_row_stride, from * j->block, martlet_min((from + 1) * j->block, q_end),
        a->head_size);
    pack_head(
        j, a->k + b * a->k_batch_stride + group * a->k_head_stride,
        a->v + b * a->v_batch_stride + group * a->v_head_stride, keys, &r);
    for (int64_t q0 = from * j->block; q0 < q_end; q0 += j->block) {
        int64_t next = q0 + j->block;
        fetch_rows(
            q, a->q_row_stride, next, martlet_min(next + j->block, q_end), a->head_size);
        attend_block(j, b, h, q0, martlet_min(j->block, q_end - q0), keys, &r);
    }
}

static void attention(
    const martlet_attention_f32_args *a, int32_t narrow, void *scratch, int32_t threads) {
    int64_t heads = a->batch * a->heads;
    if (heads <= 0 || a->queries <= 0 || a->value_size <= 0) return;
    job j = job_of(a, narrow);
    j.scratch = scratch;
    threads = martlet_pool_threads(threads);
    int64_t effort = heads * a->queries * a->keys * (a->head_size + a->value_size) / 32;
    int64_t wanted = effort < 65536 ? 1 : threads * 4;
    j.spans = martlet_min(martlet_ceil_div(wanted, heads), j.blocks);
    if (threads == 1) j.spans = 1;
    martlet_parallel_for(
        (int32_t)(heads * j.spans), effort < 65536 ? 1 : threads, attention_part, &j);
}

void martlet_attention_f32(
    const martlet_attention_f32_args *a, void *scratch, int32_t threads) {
    attention(a, 0, scratch, threads);
}

void martlet_attention_bf16(
    const martlet_attention_f32_args *a, void *scratch, int32_t threads) {
    attention(a, 1, scratch, threads);
}
