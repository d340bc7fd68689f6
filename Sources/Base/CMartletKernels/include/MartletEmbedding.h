// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Vector helpers for embeddings.
#ifndef MARTLET_EMBEDDING_H
#define MARTLET_EMBEDDING_H

#include "MartletKernelTypes.h"

/// y[b, :] = mean of x[b, s, :] over the s with mask[b, s] != 0 (mask NULL: all); 0 if none.
void martlet_mean_pool_f32(
    const float *x, const int64_t *mask, float *y, int64_t batch, int64_t sequence, int64_t n,
    int32_t threads);

/// y = x / max(|x|, epsilon) for each row; y may be x.
void martlet_l2_normalize_f32(
    const float *x, float *y, int64_t rows, int64_t n, float epsilon, int32_t threads);

float martlet_dot_f32(const float *a, const float *b, int64_t n);
float martlet_dot_f32_reference(const float *a, const float *b, int64_t n);

/// a.b / (|a| |b|); 0 if either is zero.
float martlet_cosine_f32(const float *a, const float *b, int64_t n);

/// Squared distance between a and b.
float martlet_distance_f32(const float *a, const float *b, int64_t n);

/// Conversions of n values, nearest even.
void martlet_f32_to_f16(const float *x, uint16_t *y, int64_t n);
void martlet_f16_to_f32(const uint16_t *x, float *y, int64_t n);
void martlet_f32_to_bf16(const float *x, uint16_t *y, int64_t n);
void martlet_bf16_to_f32(const uint16_t *x, float *y, int64_t n);

#endif
