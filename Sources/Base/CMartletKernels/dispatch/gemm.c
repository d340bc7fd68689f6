// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "internal.h"

size_t martlet_gemm_f32_pack_b_bytes(int64_t k, int64_t n) {
    return (size_t)(martlet_round_up(n, 32) * k) * sizeof(float);
}

void martlet_gemm_f32_pack_b(
    const float *b, int64_t row_stride, int64_t column_stride, int64_t k, int64_t n, void *packed) {
    float *to = packed;
    for (int64_t j0 = 0; j0 < n; j0 += 32)
        for (int64_t p = 0; p < k; p++, to += 32)
            for (int64_t j = 0; j < 32; j++)
                to[j] = j0 + j < n ? b[p * row_stride + (j0 + j) * column_stride] : 0;
}

size_t martlet_gemm_f32_scratch_bytes(int64_t m, int64_t n, int64_t k, int32_t threads) {
    (void)m, (void)n, (void)k, (void)threads;
    return 64;
}

void martlet_gemm_f32(const martlet_gemm_f32_args *args, void *scratch, int32_t threads) {
    (void)scratch, (void)threads;
    martlet_gemm_f32_reference(args);
}

size_t martlet_matmul_f32_scratch_bytes(const martlet_matmul_f32_args *args, int32_t threads) {
    (void)args, (void)threads;
    return 64;
}

void martlet_matmul_f32(const martlet_matmul_f32_args *args, void *scratch, int32_t threads) {
    (void)scratch, (void)threads;
    martlet_matmul_f32_reference(args);
}
