// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "checks.h"

static martlet_epilogue_f32 epilogue(int index, int64_t m, int64_t n) {
    martlet_epilogue_f32 e = {
        .activation = (martlet_activation)(index % 11), .minimum = -0.5f, .maximum = 0.75f};
    if (e.activation == MARTLET_ACTIVATION_LEAKY_RELU) e.minimum = 0.1f;
    if (index % 3) e.bias = floats(n);
    if (index % 2) {
        e.residual = floats(m * (n + 2));
        e.residual_stride = n + 2;
    }
    return e;
}

static void gemm(int index, int64_t m, int64_t n, int64_t k, int32_t threads) {
    check("gemm f32 %lldx%lldx%lld, %d threads", (long long)m, (long long)k, (long long)n, threads);
    float *b = floats(k * n);
    void *packed = room(martlet_gemm_f32_pack_b_bytes(k, n));
    int64_t row = index % 2 ? 1 : n, column = index % 2 ? k : 1;
    martlet_gemm_f32_pack_b(b, row, column, k, n, packed);
    martlet_gemm_f32_args args = {
        .m = m, .n = n, .k = k, .a = floats(m * (k + 3)), .a_row_stride = k + 3,
        .packed_b = packed, .c = output(m * (n + 1)), .c_row_stride = n + 1, .alpha = 0.5f,
        .epilogue = epilogue(index, m, n)};
    fast();
    martlet_gemm_f32(&args, room(martlet_gemm_f32_scratch_bytes(m, n, k, threads)), threads);
    float *got = args.c;
    args.c = output(m * (n + 1));
    martlet_gemm_f32_reference(&args);
    same(got, args.c, m * (n + 1), 3e-5f);
}

static void matmul(int64_t batch, int64_t m, int64_t n, int64_t k, int turned) {
    check("matmul %lld of %lldx%lldx%lld", (long long)batch, (long long)m, (long long)k,
          (long long)n);
    martlet_matmul_f32_args args = {
        .batch = batch, .m = m, .n = n, .k = k, .a = floats(batch * m * k),
        .a_batch_stride = m * k, .a_row_stride = turned ? 1 : k, .a_column_stride = turned ? m : 1,
        .b = floats(batch * k * n), .b_batch_stride = turned ? 0 : k * n,
        .b_row_stride = turned ? 1 : n, .b_column_stride = turned ? k : 1,
        .c = output(batch * m * n), .c_batch_stride = m * n, .c_row_stride = n, .alpha = 2};
    fast();
    martlet_matmul_f32(&args, room(martlet_matmul_f32_scratch_bytes(&args, 0)), 0);
    float *got = args.c;
    args.c = output(batch * m * n);
    martlet_matmul_f32_reference(&args);
    same(got, args.c, batch * m * n, 5e-5f);
}

static void attention(int64_t queries, int64_t keys, int64_t size, int masked, int causal) {
    check("attention %lld of %lld by %lld", (long long)queries, (long long)keys, (long long)size);
    int64_t heads = 4, batch = 2, row = heads * size, width = 3 * row;
    float *qkv = floats(batch * (queries > keys ? queries : keys) * width);
    int64_t step = (queries > keys ? queries : keys) * width;
    martlet_attention_f32_args args = {
        .batch = batch, .heads = heads, .kv_heads = 2, .queries = queries, .keys = keys,
        .head_size = size, .value_size = size, .q = qkv, .k = qkv + row, .v = qkv + 2 * row,
        .q_batch_stride = step, .q_head_stride = size, .q_row_stride = width,
        .k_batch_stride = step, .k_head_stride = size, .k_row_stride = width,
        .v_batch_stride = step, .v_head_stride = size, .v_row_stride = width,
        .o_batch_stride = queries * row, .o_head_stride = size, .o_row_stride = row,
        .scale = 1 / sqrtf((float)size), .causal = causal};
    if (masked) {
        args.mask = floats(queries * keys);
        args.mask_query_stride = keys;
        args.mask_key_stride = 1;
    }
    int64_t n = batch * queries * row;
    float *wanted = args.o = output(n);
    martlet_attention_f32_reference(&args);
    fast();
    args.o = output(n);
    martlet_attention_f32(&args, room(martlet_attention_f32_scratch_bytes(&args, 0)), 0);
    same(args.o, wanted, n, 1e-5f);
    args.o = output(n);
    martlet_attention_bf16(&args, room(martlet_attention_bf16_scratch_bytes(&args, 0)), 0);
    same(args.o, wanted, n, 2e-2f);
}

void check_products(void) {
    static const int64_t sizes[][3] = {
        {0, 5, 3}, {1, 1, 1}, {1, 100, 300}, {2, 33, 7}, {3, 32, 64}, {5, 31, 17}, {6, 8, 9},
        {7, 40, 5}, {8, 64, 33}, {9, 65, 40}, {17, 100, 0}, {29, 160, 401}, {30, 40, 1100},
        {170, 70, 20}, {128, 96, 384}, {40, 24, 2}};
    int count = sizeof sizes / sizeof *sizes;
    for (int i = 0; i < count; i++)
        for (int32_t threads = 0; threads < 2; threads++)
            gemm(i, sizes[i][0], sizes[i][1], sizes[i][2], threads);
    for (int i = 0; i < 11; i++) gemm(i, 11, 45, 19, 1);
    matmul(3, 9, 35, 21, 0);
    matmul(2, 13, 40, 64, 1);
    matmul(4, 1, 33, 70, 0);
    matmul(1, 70, 70, 70, 1);
    attention(5, 5, 16, 0, 0);
    attention(17, 40, 32, 1, 0);
    attention(33, 33, 20, 0, 1);
    attention(1, 130, 64, 1, 0);
}
