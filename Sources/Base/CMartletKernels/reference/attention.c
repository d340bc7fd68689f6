// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"

// A score of the pair, or -infinity when the key is hidden.
static double score(
    const martlet_attention_f32_args *a, int64_t b, int64_t h, int64_t i, int64_t j) {
    if (a->key_lengths && j >= a->key_lengths[b]) return -INFINITY;
    if (a->causal && j > i + a->causal_offset) return -INFINITY;
    const float *q = a->q + b * a->q_batch_stride + h * a->q_head_stride + i * a->q_row_stride;
    int64_t group = h / (a->heads / a->kv_heads);
    const float *k = a->k + b * a->k_batch_stride + group * a->k_head_stride + j * a->k_row_stride;
    double sum = 0;
    for (int64_t d = 0; d < a->head_size; d++) sum += (double)q[d] * k[d];
    sum *= a->scale;
    if (a->softcap > 0) sum = a->softcap * tanh(sum / a->softcap);
    if (a->mask)
        sum += a->mask[b * a->mask_batch_stride + h * a->mask_head_stride +
                       i * a->mask_query_stride + j * a->mask_key_stride];
    return sum;
}

void martlet_attention_f32_reference(const martlet_attention_f32_args *a) {
    enum { BLOCK = 64 };
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t h = 0; h < a->heads; h++)
            for (int64_t i = 0; i < a->queries; i++) {
                int64_t group = h / (a->heads / a->kv_heads);
                const float *v = a->v + b * a->v_batch_stride + group * a->v_head_stride;
                float *o = a->o + b * a->o_batch_stride + h * a->o_head_stride +
                           i * a->o_row_stride;
                double most = -INFINITY, total = 0;
                for (int64_t j = 0; j < a->keys; j++) most = fmax(most, score(a, b, h, i, j));
                if (most > -INFINITY)
                    for (int64_t j = 0; j < a->keys; j++)
                        total += exp(score(a, b, h, i, j) - most);
                // o may be q: with more values than one block, q must stay until all are done, so
                // the oracle supports that aliasing up to one block only.
                for (int64_t d0 = 0; d0 < a->value_size; d0 += BLOCK) {
                    double sums[BLOCK] = {0};
                    int64_t size = martlet_min(BLOCK, a->value_size - d0);
                    for (int64_t j = 0; j < a->keys && most > -INFINITY; j++) {
                        double weight = exp(score(a, b, h, i, j) - most) / total;
                        for (int64_t d = 0; d < size; d++)
                            sums[d] += weight * v[j * a->v_row_stride + d0 + d];
                    }
                    for (int64_t d = 0; d < size; d++) o[d0 + d] = (float)sums[d];
                }
            }
}
