// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Low-rank adapters (Hu et al., LoRA, 2021), another one for each row where wanted.
#ifndef MARTLET_ADAPTERS_H
#define MARTLET_ADAPTERS_H

#include "MartletRows.h"

enum { MARTLET_ADAPTER_RANK_MAX = 256, MARTLET_ADAPTER_FIELDS = 4 };

/// y[i] += B (A x[i]) of the row's adapter, where it has one for this module. What a row gets does
/// not depend on the others; rows without an adapter cost nothing.
///
/// The slab begins with int64 [adapters][modules][4]: where A [rank][k] and B [m][rank] begin, in
/// bytes from the slab's start, and the rank (0: none); floats follow.
typedef struct martlet_adapt_args {
    martlet_rows_source source;         // what x is before it is adapted
    int64_t n, k, m;
    const float *x;                     // row i at x + i * x_stride; twice k values when gated
    int64_t x_stride;
    const float *weight;                // of NORM
    float epsilon;
    float *y;                           // m values at y + i * y_stride
    int64_t y_stride;
    const int32_t *rows;                // the adapter of each row, or -1
    const void *slab;
    int64_t slab_bytes, adapters, modules, module;
} martlet_adapt_args;

/// -1 when a row names an adapter that is not there, or one lies outside the slab.
int32_t martlet_adapt_rows(const martlet_adapt_args *args, int32_t threads);

#endif
