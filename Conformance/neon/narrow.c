// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "checks.h"

static void gemm_narrow(
    martlet_narrow type, int index, int64_t m, int64_t n, int64_t k, int32_t threads) {
    check("gemm %s %lldx%lldx%lld, %d threads", type == MARTLET_NARROW_BF16 ? "bf16" : "int8",
          (long long)m, (long long)k, (long long)n, threads);
    void *packed = room(martlet_gemm_narrow_pack_b_bytes(type, k, n));
    martlet_gemm_f32_args args = {
        .m = m, .n = n, .k = k, .a = floats(m * k), .a_row_stride = k, .packed_b = packed,
        .c = output(m * n), .c_row_stride = n, .alpha = 0.5f,
        .epilogue = {.bias = index % 2 ? floats(n) : NULL,
                     .activation = index % 3 ? MARTLET_ACTIVATION_RELU : MARTLET_ACTIVATION_NONE}};
    fast();
    martlet_gemm_narrow_pack_b(type, floats(k * n), n, 1, k, n, packed, threads);
    void *scratch = room(martlet_gemm_narrow_scratch_bytes(type, m, n, k, threads));
    martlet_gemm_narrow(type, &args, scratch, threads);
    float *got = args.c;
    args.c = output(m * n);
    martlet_gemm_narrow_reference(type, &args);
    same(got, args.c, m * n, 5e-4f);
}

static void gemm_int8(int index, int64_t m, int64_t n, int64_t k) {
    int is_signed = index % 2, b_signed = index / 2 % 2;
    check("gemm of integers %lldx%lldx%lld, %d %d", (long long)m, (long long)k, (long long)n,
          is_signed, b_signed);
    uint8_t *b = bytes(k * n);
    int32_t *zeros = room((size_t)n * 4);
    for (int64_t j = 0; j < n; j++) zeros[j] = (int32_t)below(100) - (b_signed ? 50 : 0);
    void *packed = room(martlet_gemm_int8_pack_b_bytes(k, n));
    fast();
    martlet_gemm_int8_pack_b(b, b_signed, n, 1, k, n, zeros, 1, packed, 1);
    float *scales = floats(n);
    martlet_gemm_int8_args args = {
        .m = m, .n = n, .k = k, .a = bytes(m * k), .a_row_stride = k, .a_is_signed = is_signed,
        .a_zero = is_signed ? -7 : 93, .a_scale = 0.01f, .packed_b = packed, .b_scales = scales,
        .b_scale_stride = 1, .c = output(m * n), .c_row_stride = n};
    martlet_gemm_int8(&args, room(martlet_gemm_int8_scratch_bytes(m, n, k, 0, 0)), 0);
    float *got = args.c;
    args.c = output(m * n);
    martlet_gemm_int8_reference(&args, b, b_signed, n, 1, zeros, 1);
    same(got, args.c, m * n, 1e-5f);
    uint8_t *y = room((size_t)(m * n)), *other = room((size_t)(m * n));
    martlet_requantize narrow = {.y = y, .row_stride = n, .scale = 3, .zero = 128};
    args.narrow = &narrow;
    void *scratch = room(martlet_gemm_int8_scratch_bytes(m, n, k, 1, 0));
    martlet_gemm_int8(&args, scratch, 0);
    narrow.y = other;
    martlet_gemm_int8_reference(&args, b, b_signed, n, 1, zeros, 1);
    equal(y, other, m * n);
}

// 4-bit weights: both levels' answers.
static void gemm_int4(int64_t m, int64_t n, int64_t k, int64_t block) {
    check("gemm of 4-bit weights %lldx%lldx%lld", (long long)m, (long long)k, (long long)n);
    int64_t blocks = (k + block - 1) / block;
    martlet_int4_source source = {
        .b = bytes((k * n + 1) / 2), .row_stride = n, .column_stride = 1, .k = k, .n = n,
        .block = block, .scales = floats(blocks * n), .zeros = floats(blocks * n),
        .scale_row_stride = n, .scale_column_stride = 1};
    void *packed = room(martlet_gemm_int4_pack_b_bytes(k, n, block));
    martlet_gemm_int4_pack_b(&source, packed, 1);
    martlet_gemm_f32_args args = {
        .m = m, .n = n, .k = k, .a = floats(m * k), .a_row_stride = k, .packed_b = packed,
        .c = output(m * n), .c_row_stride = n, .alpha = 1};
    fast();
    martlet_gemm_int4(&args, block, room(martlet_gemm_int4_scratch_bytes(m, n, k, 1)), 1);
    float *got = args.c;
    args.c = output(m * n);
    plain();
    martlet_gemm_int4(&args, block, room(martlet_gemm_int4_scratch_bytes(m, n, k, 1)), 1);
    same(got, args.c, m * n, 1e-4f);
}

void check_narrow_products(void) {
    static const int64_t sizes[][3] = {
        {0, 5, 3}, {1, 1, 1}, {1, 100, 300}, {2, 33, 7}, {3, 32, 64}, {5, 31, 17}, {6, 8, 10},
        {7, 40, 5}, {8, 64, 33}, {9, 65, 40}, {17, 100, 0}, {29, 160, 401}, {30, 40, 4500},
        {128, 96, 384}};
    int count = sizeof sizes / sizeof *sizes;
    for (int i = 0; i < count; i++)
        for (int32_t threads = 0; threads < 2; threads++) {
            const int64_t *s = sizes[i];
            gemm_narrow(MARTLET_NARROW_BF16, i, s[0], s[1], s[2], threads);
            gemm_narrow(MARTLET_NARROW_INT8, i, s[0], s[1], s[2], threads);
        }
    for (int i = 0; i < 4; i++) {
        gemm_int8(i, 9, 45, 70);
        gemm_int8(i, 1, 33, 2100);
        gemm_int8(i, 30, 64, 31);
    }
    gemm_int4(1, 40, 64, 32);
    gemm_int4(13, 70, 96, 16);
}
