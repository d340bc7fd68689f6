// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Scaled dot-product attention.
#ifndef MARTLET_ATTENTION_H
#define MARTLET_ATTENTION_H

#include "MartletKernelTypes.h"

/// o[b,h,i,:] = sum over j of softmax_j(scale * q[b,h,i,:] . k[b,g,j,:] + mask[b,h,i,j]) v[b,g,j,:]
/// where g = h / (heads / kv_heads). The last dimension of q, k, v and o is contiguous; all other
/// strides are free, so merged QKV tensors need no transposition. A query that sees no key gets
/// zeros. o overlaps no input, except that it may be q itself with the same strides.
typedef struct martlet_attention_f32_args {
    int64_t batch, heads, kv_heads;    // kv_heads divides heads
    int64_t queries, keys;             // sequence lengths
    int64_t head_size, value_size;     // last dimension of q and k; of v and o
    const float *q, *k, *v;
    float *o;
    int64_t q_batch_stride, q_head_stride, q_row_stride;
    int64_t k_batch_stride, k_head_stride, k_row_stride;
    int64_t v_batch_stride, v_head_stride, v_row_stride;
    int64_t o_batch_stride, o_head_stride, o_row_stride;
    float scale;
    float softcap;                     // > 0: scores become softcap * tanh(score / softcap) first
    const float *mask;                 // additive, or NULL; strides of 0 broadcast
    int64_t mask_batch_stride, mask_head_stride, mask_query_stride, mask_key_stride;
    const int32_t *key_lengths;        // keys visible per batch entry, or NULL for all
    int32_t causal;                    // key j is visible to query i when j <= i + causal_offset
    int64_t causal_offset;             // keys - queries when the last query sees all keys
} martlet_attention_f32_args;

size_t martlet_attention_f32_scratch_bytes(
    const martlet_attention_f32_args *args, int32_t threads);
void martlet_attention_f32(
    const martlet_attention_f32_args *args, void *scratch, int32_t threads);

/// The same with both products in bf16 (values rounded, sums in f32): outputs within about 1e-2 of
/// the largest value. Pays where `martlet_gemm_narrow_is_fast(MARTLET_NARROW_BF16)`.
size_t martlet_attention_bf16_scratch_bytes(
    const martlet_attention_f32_args *args, int32_t threads);
void martlet_attention_bf16(
    const martlet_attention_f32_args *args, void *scratch, int32_t threads);

void martlet_attention_f32_reference(const martlet_attention_f32_args *args);

#endif
