// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Matrix products: C[m,n] = activation(alpha * A[m,k] * B[k,n] + bias + residual).
#ifndef MARTLET_GEMM_H
#define MARTLET_GEMM_H

#include "MartletKernelTypes.h"

/// Bytes of B[k,n] packed: panels of 32 columns, each [k][32], the last padded with zeros.
size_t martlet_gemm_f32_pack_b_bytes(int64_t k, int64_t n);

/// Packs B, whose element (row, column) is at b[row * row_stride + column * column_stride]:
/// (n, 1) for row-major [k,n], (1, k) for row-major [n,k] (a linear layer's weight).
void martlet_gemm_f32_pack_b(
    const float *b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t n, void *packed);

/// A product with packed B. A's and C's rows are contiguous; C does not overlap A.
typedef struct martlet_gemm_f32_args {
    int64_t m, n, k;
    const float *a;
    int64_t a_row_stride;
    const void *packed_b;
    float *c;
    int64_t c_row_stride;
    float alpha;
    martlet_epilogue_f32 epilogue;
} martlet_gemm_f32_args;

size_t martlet_gemm_f32_scratch_bytes(int64_t m, int64_t n, int64_t k, int32_t threads);
void martlet_gemm_f32(const martlet_gemm_f32_args *args, void *scratch, int32_t threads);
void martlet_gemm_f32_reference(const martlet_gemm_f32_args *args);

/// A batch of products of unpacked matrices, any strides (a transposed operand has its strides
/// swapped, a broadcast one a batch stride of 0). The epilogue's residual for matrix i is at
/// residual + i * c_batch_stride.
typedef struct martlet_matmul_f32_args {
    int64_t batch, m, n, k;
    const float *a;
    int64_t a_batch_stride, a_row_stride, a_column_stride;
    const float *b;
    int64_t b_batch_stride, b_row_stride, b_column_stride;
    float *c;
    int64_t c_batch_stride, c_row_stride;
    float alpha;
    martlet_epilogue_f32 epilogue;
} martlet_matmul_f32_args;

size_t martlet_matmul_f32_scratch_bytes(const martlet_matmul_f32_args *args, int32_t threads);
void martlet_matmul_f32(const martlet_matmul_f32_args *args, void *scratch, int32_t threads);
void martlet_matmul_f32_reference(const martlet_matmul_f32_args *args);

/// The same for any numeric type but f16 and bf16, plain C, no alpha and no epilogue. Integers
/// wrap. Strides as above.
int32_t martlet_matmul(
    martlet_dtype type, int64_t m, int64_t n, int64_t k,
    const void *a, int64_t a_row_stride, int64_t a_column_stride,
    const void *b, int64_t b_row_stride, int64_t b_column_stride,
    void *c, int64_t c_row_stride, int32_t threads);

#endif
