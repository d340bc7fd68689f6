// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/internal.h"

static void normalize(const martlet_norm_f32_args *a, int centered) {
    for (int64_t r = 0; r < a->rows; r++) {
        const float *x = a->x + r * a->x_row_stride;
        const float *residual = a->residual ? a->residual + r * a->residual_row_stride : NULL;
        float *y = a->y + r * a->y_row_stride;
        float *sum = a->sum ? a->sum + r * a->sum_row_stride : NULL;
        double mean = 0, square = 0;
        for (int64_t i = 0; i < a->n; i++) mean += residual ? x[i] + residual[i] : x[i];
        mean = centered && a->n ? mean / (double)a->n : 0;
        for (int64_t i = 0; i < a->n; i++) {
            double d = (residual ? x[i] + residual[i] : x[i]) - mean;
            square += d * d;
        }
        double inverse = 1 / sqrt(square / (double)martlet_max(a->n, 1) + a->epsilon);
        for (int64_t i = 0; i < a->n; i++) {
            float z = residual ? x[i] + residual[i] : x[i];
            if (sum) sum[i] = z;
            double value = (z - mean) * inverse * (a->gamma ? a->gamma[i] : 1);
            y[i] = (float)(value + (a->beta ? a->beta[i] : 0));
        }
        if (a->mean) a->mean[r] = (float)mean;
        if (a->inverse) a->inverse[r] = (float)inverse;
    }
}

void martlet_layer_norm_f32_reference(const martlet_norm_f32_args *args) { normalize(args, 1); }
void martlet_rms_norm_f32_reference(const martlet_norm_f32_args *args) { normalize(args, 0); }

void martlet_softmax_f32_reference(
    const float *x, float *y, int64_t outer, int64_t n, int64_t inner, int32_t logarithm) {
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const float *from = x + o * n * inner + i;
            float *to = y + o * n * inner + i;
            float most = -INFINITY;
            double total = 0;
            for (int64_t j = 0; j < n; j++)
                if (from[j * inner] > most) most = from[j * inner];
            for (int64_t j = 0; j < n; j++) total += exp((double)from[j * inner] - most);
            for (int64_t j = 0; j < n; j++) {
                double z = (double)from[j * inner] - most;
                to[j * inner] = (float)(logarithm ? z - log(total) : exp(z) / total);
            }
        }
}
