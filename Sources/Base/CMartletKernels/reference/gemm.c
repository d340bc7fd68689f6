// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"

float martlet_activate(martlet_activation activation, float x, float minimum, float maximum) {
    switch (activation) {
    case MARTLET_ACTIVATION_NONE: return x;
    case MARTLET_ACTIVATION_RELU: return x < 0 ? 0 : x;
    case MARTLET_ACTIVATION_CLIP: return x < minimum ? minimum : x > maximum ? maximum : x;
    case MARTLET_ACTIVATION_GELU_ERF: return 0.5f * x * (1 + erff(x * 0.70710678118654752f));
    case MARTLET_ACTIVATION_GELU_TANH:
        return 0.5f * x * (1 + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case MARTLET_ACTIVATION_SILU: return x / (1 + expf(-x));
    case MARTLET_ACTIVATION_SIGMOID: return 1 / (1 + expf(-x));
    case MARTLET_ACTIVATION_TANH: return tanhf(x);
    case MARTLET_ACTIVATION_HARD_SWISH: {
        float gate = x / 6 + 0.5f;
        return x * (gate < 0 ? 0 : gate > 1 ? 1 : gate);
    }
    case MARTLET_ACTIVATION_LEAKY_RELU: return x < 0 ? minimum * x : x;
    case MARTLET_ACTIVATION_HARD_SIGMOID: {
        float gate = minimum * x + maximum;
        return gate < 0 ? 0 : gate > 1 ? 1 : gate;
    }
    }
    return x;
}

void martlet_gemm_f32_reference(const martlet_gemm_f32_args *g) {
    const float *b = g->packed_b;
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            const float *column = b + j / 32 * 32 * g->k + j % 32;
            double sum = 0;
            for (int64_t p = 0; p < g->k; p++)
                sum += (double)g->a[i * g->a_row_stride + p] * column[p * 32];
            g->c[i * g->c_row_stride + j] =
                martlet_finish(&g->epilogue, (float)(sum * g->alpha), i, j);
        }
}

void martlet_matmul_f32_reference(const martlet_matmul_f32_args *g) {
    for (int64_t s = 0; s < g->batch; s++) {
        const float *a = g->a + s * g->a_batch_stride, *b = g->b + s * g->b_batch_stride;
        float *c = g->c + s * g->c_batch_stride;
        martlet_epilogue_f32 e = g->epilogue;
        if (e.residual) e.residual += s * g->c_batch_stride;
        for (int64_t i = 0; i < g->m; i++)
            for (int64_t j = 0; j < g->n; j++) {
                double sum = 0;
                for (int64_t p = 0; p < g->k; p++)
                    sum += (double)a[i * g->a_row_stride + p * g->a_column_stride] *
                           b[p * g->b_row_stride + j * g->b_column_stride];
                c[i * g->c_row_stride + j] = martlet_finish(&e, (float)(sum * g->alpha), i, j);
            }
    }
}

typedef struct {
    martlet_dtype type;
    int64_t m, n, k, a_row, a_column, b_row, b_column, c_row;
    const void *a, *b;
    void *c;
} product;

#define PRODUCT(NAME, TYPE, SUM)                                                               \
    static void NAME(const product *g, int64_t from, int64_t to) {                             \
        const TYPE *a = g->a, *b = g->b;                                                       \
        TYPE *c = g->c;                                                                        \
        for (int64_t i = from; i < to; i++)                                                    \
            for (int64_t j = 0; j < g->n; j++) {                                               \
                SUM sum = 0;                                                                   \
                for (int64_t p = 0; p < g->k; p++)                                             \
                    sum += (SUM)a[i * g->a_row + p * g->a_column] *                            \
                           (SUM)b[p * g->b_row + j * g->b_column];                             \
                c[i * g->c_row + j] = (TYPE)sum;                                               \
            }                                                                                  \
    }
PRODUCT(product_f32, float, float)
PRODUCT(product_f64, double, double)
PRODUCT(product_8, uint8_t, uint32_t)
PRODUCT(product_16, uint16_t, uint32_t)
PRODUCT(product_32, uint32_t, uint32_t)
PRODUCT(product_64, uint64_t, uint64_t)

static void product_part(void *context, int32_t part, int32_t parts) {
    const product *g = context;
    int64_t from, to;
    martlet_share(g->m, part, parts, &from, &to);
    // Wrapping products are the same for signed and unsigned operands of one width.
    switch (g->type) {
    case MARTLET_F32: product_f32(g, from, to); break;
    case MARTLET_F64: product_f64(g, from, to); break;
    case MARTLET_I8: case MARTLET_U8: product_8(g, from, to); break;
    case MARTLET_I16: case MARTLET_U16: product_16(g, from, to); break;
    case MARTLET_I32: case MARTLET_U32: product_32(g, from, to); break;
    default: product_64(g, from, to); break;
    }
}

int32_t martlet_matmul(
    martlet_dtype type, int64_t m, int64_t n, int64_t k,
    const void *a, int64_t a_row_stride, int64_t a_column_stride,
    const void *b, int64_t b_row_stride, int64_t b_column_stride,
    void *c, int64_t c_row_stride, int32_t threads) {
    if (type == MARTLET_F16 || type == MARTLET_BF16 || type == MARTLET_BOOL) return -1;
    product g = {type, m, n, k, a_row_stride, a_column_stride, b_row_stride, b_column_stride,
                 c_row_stride, a, b, c};
    martlet_parallel_for(martlet_parts(m * n * k, m, threads), threads, product_part, &g);
    return 0;
}
