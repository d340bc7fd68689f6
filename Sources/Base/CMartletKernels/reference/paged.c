// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The oracle of attention over blocks: one row, one head, sums in double.
#include "../dispatch/internal.h"

// Value `at` of a head's part of a block; position is where in the block it is.
static double element(
    const martlet_cache *c, const void *base, int32_t block, int64_t kv, int64_t at,
    int64_t position) {
    int64_t bytes = martlet_cache_block_bytes(c->type, c->kv_heads, c->head_size);
    const char *start = (const char *)base + block * bytes;
    at += kv * c->head_size * MARTLET_CACHE_BLOCK;
    switch (c->type) {
    case MARTLET_F32: return ((const float *)start)[at];
    case MARTLET_F16: return martlet_of_f16(((const uint16_t *)start)[at]);
    case MARTLET_I8: {
        float scale;
        int64_t scales = c->kv_heads * c->head_size * MARTLET_CACHE_BLOCK;
        memcpy(&scale, start + scales + (kv * MARTLET_CACHE_BLOCK + position) * 4, 4);
        return (double)((const int8_t *)start)[at] * scale;
    }
    default: return martlet_of_bf16(((const uint16_t *)start)[at]);
    }
}

static double score(
    const martlet_paged_args *a, const float *q, const int32_t *blocks, int64_t kv, int64_t p) {
    const martlet_cache *c = &a->cache;
    double sum = 0;
    for (int64_t d = 0; d < c->head_size; d++)
        sum += (double)q[d] * element(c, c->keys, blocks[p / 16], kv, d * 16 + p % 16, p % 16);
    sum *= a->scale;
    return a->softcap > 0 ? a->softcap * tanh(sum / a->softcap) : sum;
}

static void attend(
    const martlet_paged_args *a, const float *q, float *o, const int32_t *blocks, int64_t kv,
    int64_t position) {
    const martlet_cache *c = &a->cache;
    int64_t from = a->window > 0 ? martlet_max(0, position - a->window + 1) : 0;
    double most = -INFINITY, total = 0, sums[MARTLET_HEAD_SIZE_MAX] = {0};
    for (int64_t p = from; p <= position; p++) most = fmax(most, score(a, q, blocks, kv, p));
    for (int64_t p = from; p <= position; p++) {
        double share = exp(score(a, q, blocks, kv, p) - most);
        int64_t base = p % 16 * c->head_size;
        for (int64_t d = 0; d < c->head_size; d++)
            sums[d] += share * element(c, c->values, blocks[p / 16], kv, base + d, p % 16);
        total += share;
    }
    for (int64_t d = 0; d < c->head_size; d++) o[d] = (float)(sums[d] / total);
}

void martlet_paged_attention_reference(const martlet_paged_args *a) {
    int64_t size = a->cache.head_size, share = a->heads / a->cache.kv_heads;
    for (int64_t s = 0; s < a->slice_count; s++) {
        const int32_t *slice = a->slices + s * MARTLET_SLICE_FIELDS;
        for (int64_t i = 0; i < slice[1]; i++)
            for (int64_t h = 0; h < a->heads; h++) {
                int64_t at = ((slice[0] + i) * a->heads + h) * size;
                attend(a, a->q + at, a->o + at, a->blocks + slice[3], h / share, slice[2] + i);
            }
    }
}
