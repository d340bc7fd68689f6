// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Matrix products with weights of fewer bits: C[m,n] = activation(alpha * A[m,k] * B[k,n] + ...),
// A and C in f32, B packed narrower than it came.
#ifndef MARTLET_GEMM_NARROW_H
#define MARTLET_GEMM_NARROW_H

#include "MartletGemm.h"

typedef enum martlet_narrow {
    /// A and B rounded to bf16, products summed in f32.
    MARTLET_NARROW_BF16,
    /// B as int8 with a scale per column, A quantised while it runs to 8 bits with a scale per row
    /// (both symmetric); sums in int32. A row with a NaN or an infinity gives NaNs.
    MARTLET_NARROW_INT8
} martlet_narrow;

/// Whether the machine, at the level in use, multiplies this type by instructions of its own;
/// otherwise the products are right but slower than f32.
int32_t martlet_gemm_narrow_is_fast(martlet_narrow type);

/// Bytes of B[k,n] packed.
size_t martlet_gemm_narrow_pack_b_bytes(martlet_narrow type, int64_t k, int64_t n);

/// Packs B, given as to martlet_gemm_f32_pack_b, on at most threads threads.
void martlet_gemm_narrow_pack_b(
    martlet_narrow type, const float *b, int64_t row_stride, int64_t column_stride, int64_t k,
    int64_t n, void *packed, int32_t threads);

size_t martlet_gemm_narrow_scratch_bytes(
    martlet_narrow type, int64_t m, int64_t n, int64_t k, int32_t threads);

/// As martlet_gemm_f32, with B packed for this type.
void martlet_gemm_narrow(
    martlet_narrow type, const martlet_gemm_f32_args *args, void *scratch, int32_t threads);

/// The oracle: the same roundings, sums in double or exact integers.
void martlet_gemm_narrow_reference(martlet_narrow type, const martlet_gemm_f32_args *args);

#endif
