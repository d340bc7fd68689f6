// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Weighted sums along one axis: what resizing is, axis by axis.
#ifndef MARTLET_RESAMPLE_H
#define MARTLET_RESAMPLE_H

#include "MartletKernelTypes.h"

/// y [outer, m, inner] from x [outer, n, inner]: y at j is the sum over t in 0 ..< taps of
/// weights[j * taps + t] * x at places[j * taps + t]. Places are in 0 ..< n; y does not overlap x.
void martlet_resample_f32(
    const float *x, float *y, int64_t outer, int64_t n, int64_t inner, int64_t m, int64_t taps,
    const int32_t *places, const float *weights, int32_t threads);

#endif
