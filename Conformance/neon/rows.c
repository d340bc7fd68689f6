// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "checks.h"

static uint16_t half_of(float x) {
    uint16_t y;
    plain();
    martlet_f32_to_f16(&x, &y, 1);
    return y;
}

// Blocks of any bits, but for scales, which are small.
static uint8_t *weights_of(martlet_weights type, int64_t rows, int64_t k, int64_t *row_bytes) {
    *row_bytes = martlet_weights_row_bytes(type, k);
    int64_t n = rows * *row_bytes, block = martlet_weights_block_bytes(type);
    uint8_t *w = bytes(n);
    if (type == MARTLET_WEIGHTS_F32) return (uint8_t *)floats(rows * k);
    if (type <= MARTLET_WEIGHTS_BF16) {
        float *x = floats(rows * k);
        for (int64_t i = 0; i < rows * k; i++)
            if (type == MARTLET_WEIGHTS_F16) ((uint16_t *)w)[i] = half_of(x[i]);
            else martlet_f32_to_bf16(x + i, (uint16_t *)w + i, 1);
        return w;
    }
    int has_two = type == MARTLET_WEIGHTS_Q4_1 || type == MARTLET_WEIGHTS_Q5_1 ||
                  type == MARTLET_WEIGHTS_Q4_K || type == MARTLET_WEIGHTS_Q5_K;
    for (int64_t at = 0; at < n; at += block) {
        uint16_t scale = half_of(0.01f), least = half_of(-0.02f);
        int64_t place = type == MARTLET_WEIGHTS_Q6_K ? block - 2 : 0;
        memcpy(w + at + place, &scale, 2);
        if (has_two) memcpy(w + at + 2, &least, 2);
    }
    return w;
}

static void multiply(martlet_weights type, martlet_rows kind, int64_t n, int64_t k) {
    check("rows of kind %d, weights of type %d, %lld rows", kind, type, (long long)n);
    int64_t m = 37, row_bytes;
    uint8_t *w = weights_of(type, m, k, &row_bytes);
    void *packed = room(martlet_weights_panel_bytes(type, m, k));
    holds(martlet_weights_pack(type, w, row_bytes, m, k, type, packed, 1) == 0);
    martlet_rows_args args = {.type = kind, .n = n, .k = k, .x = floats(n * k), .x_stride = k};
    void *rows = room(martlet_rows_bytes(kind, n, k));
    fast();
    martlet_rows_prepare(&args, rows, 0);
    martlet_rows_product product = {
        .type = kind, .panels = type, .n = n, .m = m, .k = k, .rows = rows, .packed = packed,
        .c = output(n * m), .c_stride = m};
    martlet_rows_multiply(&product, 0);
    float *got = product.c;
    product.c = output(n * m);
    martlet_rows_multiply_reference(&product, args.x, k, w, row_bytes);
    if (type > MARTLET_WEIGHTS_BF16) equal(got, product.c, n * m * 4);
    same(got, product.c, n * m, 1e-4f);
}

// Keys and values of every slot, turned by their positions, written by one level.
static martlet_cache cache_of(
    martlet_dtype type, int64_t blocks, int64_t heads, int64_t size, const float *x,
    const float *angles) {
    size_t bytes = (size_t)(blocks * martlet_cache_block_bytes(type, heads, size));
    martlet_cache cache = {.type = type, .blocks = blocks, .kv_heads = heads, .head_size = size,
                           .keys = room(bytes), .values = room(bytes)};
    memset(cache.keys, 0, bytes);
    memset(cache.values, 0, bytes);
    int64_t n = blocks * MARTLET_CACHE_BLOCK, width = heads * size;
    int32_t *slots = room((size_t)n * 4);
    for (int64_t i = 0; i < n; i++) slots[i] = (int32_t)(n - 1 - i);
    martlet_rotary_args args = {
        .n = n, .heads = heads, .q = x, .k = x, .v = x + width, .q_stride = 2 * width,
        .k_stride = 2 * width, .v_stride = 2 * width, .angles = angles, .rotary = size / 2 * 2,
        .slots = slots, .turned = output(n * width), .cache = cache};
    holds(martlet_rotary_cache(&args, 0) == 0);
    return cache;
}

static void paged(martlet_dtype type, int64_t size) {
    check("paged attention of type %d, heads of %lld", type, (long long)size);
    enum { ROWS = 9, HEADS = 6, KEY_HEADS = 2, BLOCKS = 6 };
    static const int32_t slices[] = {0, 7, 40, 0, 7, 2, 3, 3}, blocks[] = {3, 1, 5, 0};
    int64_t positions = BLOCKS * MARTLET_CACHE_BLOCK;
    const float *x = floats(positions * KEY_HEADS * size * 2), *angles = floats(positions * size);
    plain();
    martlet_cache wanted = cache_of(type, BLOCKS, KEY_HEADS, size, x, angles);
    fast();
    martlet_cache cache = cache_of(type, BLOCKS, KEY_HEADS, size, x, angles);
    int64_t bytes = BLOCKS * martlet_cache_block_bytes(type, KEY_HEADS, size);
    equal(cache.keys, wanted.keys, bytes);
    equal(cache.values, wanted.values, bytes);
    martlet_paged_args args = {
        .n = ROWS, .heads = HEADS, .q = floats(ROWS * HEADS * size), .scale = 0.3f,
        .slices = slices, .slice_count = 2, .blocks = blocks, .block_count = 4, .cache = cache};
    float *expected = output(ROWS * HEADS * size);
    args.o = expected;
    martlet_paged_attention_reference(&args);
    for (args.narrow = 0; args.narrow < 2; args.narrow++) {
        args.o = output(ROWS * HEADS * size);
        holds(martlet_paged_attention(&args, 0) == 0);
        same(args.o, expected, ROWS * HEADS * size, 1e-5f);
    }
}

static void norms(int64_t rows, int64_t n, int options) {
    check("norms of %lld values", (long long)n);
    martlet_norm_f32_args args = {
        .x = floats(rows * n), .rows = rows, .n = n, .x_row_stride = n, .residual_row_stride = n,
        .y_row_stride = n, .sum_row_stride = n, .epsilon = 1e-5f,
        .residual = options & 1 ? floats(rows * n) : NULL,
        .gamma = options & 2 ? floats(n) : NULL, .beta = options & 2 ? floats(n) : NULL};
    float *got = output(rows * n), *wanted = output(rows * n);
    fast();
    args.y = got;
    martlet_layer_norm_f32(&args, 0);
    args.y = wanted;
    martlet_layer_norm_f32_reference(&args);
    same(got, wanted, rows * n, 1e-5f);
    args.y = got;
    martlet_rms_norm_f32(&args, 0);
    args.y = wanted;
    martlet_rms_norm_f32_reference(&args);
    same(got, wanted, rows * n, 1e-5f);
}

static void softmax(int64_t outer, int64_t n, int64_t inner) {
    float *x = floats(outer * n * inner), *got = output(outer * n * inner);
    float *wanted = output(outer * n * inner);
    for (int64_t i = 0; i < outer * n * inner; i++) x[i] *= 20;
    for (int logarithm = 0; logarithm < 2; logarithm++) {
        check("softmax of %lld, inner %lld, %d", (long long)n, (long long)inner, logarithm);
        fast();
        martlet_softmax_f32(x, got, outer, n, inner, logarithm, 0);
        martlet_softmax_f32_reference(x, wanted, outer, n, inner, logarithm);
        same(got, wanted, outer * n * inner, 3e-6f);
    }
}

void check_rows(void) {
    static const struct { martlet_weights weights; martlet_rows rows; } kinds[] = {
        {MARTLET_WEIGHTS_F32, MARTLET_ROWS_F32}, {MARTLET_WEIGHTS_F16, MARTLET_ROWS_F32},
        {MARTLET_WEIGHTS_BF16, MARTLET_ROWS_F32}, {MARTLET_WEIGHTS_BF16, MARTLET_ROWS_BF16},
        {MARTLET_WEIGHTS_Q4_0, MARTLET_ROWS_INT8_8}, {MARTLET_WEIGHTS_Q4_1, MARTLET_ROWS_INT8_8},
        {MARTLET_WEIGHTS_Q5_0, MARTLET_ROWS_INT8_16},
        {MARTLET_WEIGHTS_Q5_1, MARTLET_ROWS_INT8_128},
        {MARTLET_WEIGHTS_Q8_0, MARTLET_ROWS_INT8_128},
        {MARTLET_WEIGHTS_Q4_K, MARTLET_ROWS_INT8_32},
        {MARTLET_WEIGHTS_Q5_K, MARTLET_ROWS_INT8_8}, {MARTLET_WEIGHTS_Q6_K, MARTLET_ROWS_INT8_32}};
    for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++)
        for (int n = 1; n < 14; n += 4)
            multiply(
                kinds[i].weights, kinds[i].rows, n,
                kinds[i].weights <= MARTLET_WEIGHTS_BF16 ? 301 : 512);
    for (martlet_dtype type = MARTLET_F32; type <= MARTLET_I8; type++)
        if (type != MARTLET_F64) {
            paged(type, 32);
            paged(type, 7);
        }
    norms(5, 1, 0);
    norms(4, 37, 1);
    norms(3, 384, 3);
    softmax(3, 5, 1);
    softmax(4, 130, 1);
    softmax(2, 9, 7);
    softmax(1, 20, 33);
}
