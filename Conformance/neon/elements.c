// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "checks.h"

static void unary(martlet_unary op, int64_t n) {
    check("unary %d of %lld", op, (long long)n);
    float *x = floats(n), *wanted = output(n), *got = output(n);
    int inside = op == MARTLET_ASIN || op == MARTLET_ACOS || op == MARTLET_ATANH;
    for (int64_t i = 0; i < n; i++) x[i] *= inside ? 1 : 8;
    if (n > 4 && !inside) {
        x[0] = NAN;
        x[2] = -INFINITY;
        x[3] = INFINITY;
    }
    float alpha = 0.3f, beta = op == MARTLET_CLIP ? 2.5f : 0.6f;
    martlet_unary_f32_reference(op, x, wanted, n, alpha, beta);
    fast();
    martlet_unary_f32(op, x, got, n, alpha, beta, 0);
    // Booleans fill the first bytes only; the rest is as it was in both.
    same(got, wanted, n, 2e-6f);
}

static void binary(martlet_binary op, int64_t rows, int64_t n, int layout) {
    check("binary %d of %lldx%lld, layout %d", op, (long long)rows, (long long)n, layout);
    int64_t shape[] = {rows, n}, dense[] = {n, 1};
    int64_t other[] = {layout == 0 ? n : 0, layout == 2 ? 0 : 1};
    float *a = floats(rows * n), *b = floats(rows * n);
    float *got = output(rows * n), *wanted = output(rows * n);
    fast();
    int32_t done = martlet_binary_any(MARTLET_F32, op, a, b, got, 2, shape, dense, other, 0);
    int32_t known =
        martlet_binary_any_reference(MARTLET_F32, op, a, b, wanted, 2, shape, dense, other);
    holds(done == known);
    same(got, wanted, rows * n, 1e-6f);
}

static void reduce(martlet_reduction op, int64_t outer, int64_t n, int64_t inner) {
    check("reduction %d of %lld, inner %lld", op, (long long)n, (long long)inner);
    float *x = floats(outer * n * inner);
    float *got = output(outer * inner), *wanted = output(outer * inner);
    if (op == MARTLET_REDUCE_LOG_SUM)
        for (int64_t i = 0; i < outer * n * inner; i++) x[i] = fabsf(x[i]);
    fast();
    holds(martlet_reduce(MARTLET_F32, op, x, got, outer, n, inner, 0) == 0);
    holds(martlet_reduce_reference(MARTLET_F32, op, x, wanted, outer, n, inner) == 0);
    same(got, wanted, outer * inner, 2e-5f);
}

static void conversions(void) {
    check("16-bit floats of all bits, there and back");
    enum { ALL = 65536 };
    uint16_t *bits = room(ALL * 2), *got = room(ALL * 2), *wanted = room(ALL * 2);
    for (int i = 0; i < ALL; i++) bits[i] = (uint16_t)i;
    float *up = output(ALL), *other = output(ALL);
    fast();
    martlet_f16_to_f32(bits, up, ALL);
    plain();
    martlet_f16_to_f32(bits, other, ALL);
    same(up, other, ALL, 0);
    for (int i = 0; i < ALL; i++) up[i] = other[i] * 1.0003f;
    fast();
    martlet_f32_to_f16(up, got, ALL);
    plain();
    martlet_f32_to_f16(up, wanted, ALL);
    for (int i = 0; i < ALL; i++) holds(got[i] == wanted[i] || up[i] != up[i]);
    fast();
    martlet_f32_to_bf16(up, got, ALL);
    plain();
    martlet_f32_to_bf16(up, wanted, ALL);
    equal(got, wanted, ALL * 2);
    fast();
    martlet_bf16_to_f32(bits, up, ALL);
    plain();
    martlet_bf16_to_f32(bits, other, ALL);
    same(up, other, ALL, 0);
}

static void quantized(int64_t n, int is_signed) {
    check("quantisation of %lld, %d", (long long)n, is_signed);
    float scales[2] = {0.011f, 0.02f};
    int32_t zeros[2] = {is_signed ? -3 : 120, is_signed ? 10 : 100};
    martlet_quantize_args args = {
        .outer = 3, .channels = 2, .inner = n, .scales = scales, .zeros = zeros,
        .is_signed = is_signed};
    float *x = floats(6 * n), *up = output(6 * n), *other = output(6 * n);
    for (int64_t i = 0; i < 6 * n; i++) x[i] *= 2;
    uint8_t *got = room((size_t)(6 * n)), *wanted = room((size_t)(6 * n));
    fast();
    martlet_quantize_linear(&args, x, got, 0);
    martlet_dequantize_linear(&args, got, up, 0);
    plain();
    martlet_quantize_linear(&args, x, wanted, 0);
    martlet_dequantize_linear(&args, wanted, other, 0);
    equal(got, wanted, 6 * n);
    same(up, other, 6 * n, 0);
    float scale[2];
    int32_t zero[2];
    fast();
    holds(martlet_dynamic_quantize(x, got, 6 * n, scale, zero, 0) == 0);
    plain();
    holds(martlet_dynamic_quantize(x, wanted, 6 * n, scale + 1, zero + 1, 0) == 0);
    equal(got, wanted, 6 * n);
    holds(scale[0] == scale[1] && zero[0] == zero[1]);
}

static void transposes(int64_t rows, int64_t columns) {
    check("transposition of %lldx%lld", (long long)rows, (long long)columns);
    float *x = floats(2 * rows * columns), *got = output(2 * rows * columns);
    float *wanted = output(2 * rows * columns);
    int64_t shape[] = {2, rows, columns}, order[] = {0, 2, 1};
    fast();
    holds(martlet_transpose(4, x, got, 3, shape, order, 0) == 0);
    for (int64_t s = 0; s < 2; s++)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++)
                wanted[(s * columns + j) * rows + i] = x[(s * rows + i) * columns + j];
    same(got, wanted, 2 * rows * columns, 0);
}

static void vectors(int64_t n) {
    check("dot, distance and scaling of %lld", (long long)n);
    float *a = floats(n), *b = floats(n), *got = output(n), *wanted = output(n);
    fast();
    float dot = martlet_dot_f32(a, b, n), distance = martlet_distance_f32(a, b, n);
    martlet_scale_shift_f32(a, got, b, a, 1, n, 1, MARTLET_ACTIVATION_TANH, 0, 0, 1);
    plain();
    holds(fabsf(dot - martlet_dot_f32_reference(a, b, n)) < 1e-4f);
    holds(fabsf(distance - martlet_distance_f32(a, b, n)) < 1e-4f * (1 + distance));
    martlet_scale_shift_f32(a, wanted, b, a, 1, n, 1, MARTLET_ACTIVATION_TANH, 0, 0, 1);
    same(got, wanted, n, 2e-6f);
}

void check_elements(void) {
    for (martlet_unary op = 0; op < MARTLET_UNARY_COUNT; op++) {
        if (op == MARTLET_NOT || op == MARTLET_BIT_NOT) continue;
        unary(op, 3);
        unary(op, 103);
    }
    for (martlet_binary op = MARTLET_ADD; op <= MARTLET_GREATER_EQUAL; op++)
        for (int layout = 0; layout < 3; layout++) binary(op, 5, 35, layout);
    for (martlet_reduction op = 0; op <= MARTLET_REDUCE_SUM_SQUARE; op++) {
        reduce(op, 3, 7, 1);
        reduce(op, 2, 100, 1);
        reduce(op, 2, 9, 13);
    }
    conversions();
    quantized(5, 0);
    quantized(67, 1);
    transposes(5, 7);
    transposes(16, 12);
    transposes(33, 65);
    vectors(3);
    vectors(130);
}
