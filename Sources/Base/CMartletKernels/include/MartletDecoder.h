// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// What decoders are made of besides products: embeddings, rotary positions, and attention over keys
// and values that lie in blocks of 16 positions.
#ifndef MARTLET_DECODER_H
#define MARTLET_DECODER_H

#include "MartletWeights.h"

enum { MARTLET_CACHE_BLOCK = 16, MARTLET_HEAD_SIZE_MAX = 512, MARTLET_SLICE_FIELDS = 4 };

/// y[i] = scale * table[tokens[i]], a row of k weights of a type. -1 for a token out of range; the
/// rows before it are written.
int32_t martlet_embed(
    martlet_weights type, const void *table, int64_t row_bytes, int64_t table_rows, int64_t k,
    const int32_t *tokens, int64_t n, float scale, float *y, int32_t threads);

/// y[i] = residual[i] + x[i] / sqrt(mean(x[i]^2) + epsilon) * weight; residual may be NULL or y.
void martlet_norm_rows(
    const float *x, const float *weight, const float *residual, float *y, int64_t n, int64_t k,
    float epsilon, int32_t threads);

/// y[i] = x[rows[i]] for rows of k floats. -1 for a row that is not below count.
int32_t martlet_take_rows(
    const float *x, int64_t count, const int32_t *rows, int64_t n, int64_t k, float *y);

/// angles[i] = half cosines, then half sines, of positions[i] * frequencies, times factor.
void martlet_rotary_angles(
    const int32_t *positions, int64_t n, const float *frequencies, int64_t half, float factor,
    float *angles);

/// One layer's keys and values: keys [block][kv_head][head_size][16], values
/// [block][kv_head][16][head_size], of type F32, F16, BF16 or I8. Of I8 each block ends with its
/// scales, f32 [kv_head][16]: a position's values of a head are q * scale.
typedef struct martlet_cache {
    martlet_dtype type;
    int64_t blocks, kv_heads, head_size;
    void *keys, *values;
} martlet_cache;

/// Bytes of one block of keys, or of values; 0 for a type that no cache has.
int64_t martlet_cache_block_bytes(martlet_dtype type, int64_t kv_heads, int64_t head_size);

/// Turns queries and keys by their positions and writes keys and values into the cache.
typedef struct martlet_rotary_args {
    int64_t n, heads;
    const float *q, *k, *v;             // row i at q + i * stride, head after head
    int64_t q_stride, k_stride, v_stride;
    const float *angles;                // [n][rotary]
    int64_t rotary;                     // an even number of a head's first values
    int32_t interleaved;                // pairs are (0, 1), (2, 3) ... and not (0, half) ...
    const float *q_norm, *k_norm;       // head_size weights of an RMS norm before, or NULL
    float epsilon;
    const int32_t *slots;               // block * 16 + place
    float *turned;                      // [n][heads][head_size]
    martlet_cache cache;
} martlet_rotary_args;

/// -1 for a slot outside the cache; nothing is written outside in any case.
int32_t martlet_rotary_cache(const martlet_rotary_args *args, int32_t threads);

/// softmax(scale * q k + ...) v of slices of rows, each against its own sequence's blocks. A row
/// sees its position and those before it, window of them at most when window > 0.
typedef struct martlet_paged_args {
    int64_t n, heads;
    const float *q;                     // [n][heads][head_size]
    float *o;                           // the same; not q
    float scale, softcap;               // softcap > 0: scores become softcap * tanh(s / softcap)
    int64_t window;
    const int32_t *slices;              // of four: first row, rows, first position, first block
    int64_t slice_count;
    const int32_t *blocks;
    int64_t block_count;
    martlet_cache cache;
    // Queries, keys, values and shares may be rounded to bf16, where the processor multiplies
    // that; sums stay in f32. Of an F32 cache nothing is rounded.
    int32_t narrow;
} martlet_paged_args;

/// -1 when a slice or a block lies outside what there is; nothing is then computed. Rows of no
/// slice are left alone.
int32_t martlet_paged_attention(const martlet_paged_args *args, int32_t threads);
void martlet_paged_attention_reference(const martlet_paged_args *args);

#endif
