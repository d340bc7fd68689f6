// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The oracle of products with packed weights: from the blocks themselves, one output at a time,
// every rounding where the panels have it.
#include "../dispatch/rows.h"

// One group's weights as whole numbers and their scales, found again from the decoded floats: the
// d of every format divides them exactly.
typedef struct {
    int32_t dots[2];         // of the two halves
    float scale, sum;        // of the row
} group;

static group quantise(const float *x, int64_t left, int8_t q[32]) {
    float most = 0;
    int bad = 0;
    for (int i = 0; i < 32 && i < left; i++) {
        if (!isfinite(x[i])) bad = 1;
        most = fmaxf(most, fabsf(x[i]));
    }
    int32_t sum = 0;
    float inverse = !bad && most > 0 ? 127 / most : 0;
    for (int i = 0; i < 32; i++) {
        q[i] = i < left && !bad ? (int8_t)rintf(x[i] * inverse) : 0;
        sum += q[i];
    }
    group g = {.scale = bad ? NAN : most / 127};
    g.sum = g.scale * (float)sum;
    return g;
}

static float half_at(const uint8_t *x) { return martlet_of_f16((uint16_t)(x[0] | x[1] << 8)); }

// The weights of group at of a row as whole numbers around their zero; their scale (of each half
// for Q6_K) and what is added to each.
static void whole(
    martlet_weights type, const uint8_t *row, int64_t at, int32_t w[32], float scale[2],
    float *least) {
    int64_t block = martlet_weights_block(type), bytes = martlet_weights_block_bytes(type);
    const uint8_t *x = row + at * 32 / block * bytes;
    float values[256];
    martlet_weights_decode(type, x, values, block);
    const float *y = values + at * 32 % block;
    *least = 0;
    scale[0] = scale[1] = half_at(type == MARTLET_WEIGHTS_Q6_K ? x + 208 : x);
    int place = (int)(at % 8);
    if (type == MARTLET_WEIGHTS_Q4_1 || type == MARTLET_WEIGHTS_Q5_1) {
        *least = half_at(x + 2);
    } else if (type == MARTLET_WEIGHTS_Q4_K || type == MARTLET_WEIGHTS_Q5_K) {
        const uint8_t *s = x + 4;
        int six = place < 4 ? s[place] & 63 : (s[place + 4] & 15) | (s[place - 4] >> 6) << 4;
        int low = place < 4 ? s[place + 4] & 63 : s[place + 4] >> 4 | (s[place] >> 6) << 4;
        scale[0] = scale[1] = scale[0] * (float)six;
        *least = -half_at(x + 2) * (float)low;
    } else if (type == MARTLET_WEIGHTS_Q6_K) {
        scale[1] = scale[0] * (float)(int8_t)x[193 + 2 * place];
        scale[0] = scale[0] * (float)(int8_t)x[192 + 2 * place];
    }
    for (int i = 0; i < 32; i++) {
        double d = scale[i / 16];
        w[i] = d != 0 ? (int32_t)lrint(((double)y[i] - *least) / d) : 0;
    }
}

static float quantised(
    const martlet_rows_product *p, const float *x, const uint8_t *row) {
    float f = 0;
    for (int64_t at = 0; at < martlet_row_groups(p->k); at++) {
        int8_t q[32];
        int32_t w[32], dots[2] = {0, 0};
        float scale[2], least;
        group g = quantise(x + at * 32, p->k - at * 32, q);
        whole(p->panels, row, at, w, scale, &least);
        int split = p->panels == MARTLET_WEIGHTS_Q6_K;
        for (int i = 0; i < 32; i++) dots[split && i >= 16] += w[i] * q[i];
        f = fmaf((float)dots[0], scale[0] * g.scale, f);
        if (split) f = fmaf((float)dots[1], scale[1] * g.scale, f);
        if (p->panels == MARTLET_WEIGHTS_Q4_1 || p->panels == MARTLET_WEIGHTS_Q5_1 ||
            p->panels == MARTLET_WEIGHTS_Q4_K || p->panels == MARTLET_WEIGHTS_Q5_K)
            f = fmaf(least, g.sum, f);
    }
    return f;
}

static float unquantised(const martlet_rows_product *p, const float *x, const uint8_t *row) {
    int64_t bytes = martlet_weights_block_bytes(p->panels);
    double sum = 0;
    for (int64_t i = 0; i < p->k; i++) {
        float w, v = x[i];
        martlet_weights_decode(p->panels, row + i * bytes, &w, 1);
        if (p->type == MARTLET_ROWS_BF16) v = martlet_of_bf16(martlet_bf16_of(v));
        sum += (double)w * v;
    }
    return (float)sum;
}

void martlet_rows_multiply_reference(
    const martlet_rows_product *p, const float *x, int64_t x_stride, const void *w,
    int64_t row_bytes) {
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < p->m; j++) {
            const uint8_t *row = (const uint8_t *)w + j * row_bytes;
            float f = p->panels <= MARTLET_WEIGHTS_BF16 ? unquantised(p, x + i * x_stride, row)
                                                        : quantised(p, x + i * x_stride, row);
            if (p->bias) f += p->bias[j];
            if (p->cap > 0) f = p->cap * tanhf(f / p->cap);
            if (p->residual) f += p->residual[i * p->residual_stride + j];
            p->c[i * p->c_stride + j] = f;
        }
}
