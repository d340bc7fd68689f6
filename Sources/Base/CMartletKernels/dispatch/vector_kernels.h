// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Included once per level with TARGET (the function attribute) and NAME(x) (the level's suffix).
#include "table.h"
#include "vector_math.h"

#define LOOP(EXPRESSION)                                                                       \
    for (int64_t i = 0; i < n; i++) {                                                          \
        float v = x[i];                                                                        \
        y[i] = (EXPRESSION);                                                                   \
    }                                                                                          \
    break;

TARGET static int32_t NAME(unary)(
    martlet_unary op, const float *x, void *out, int64_t n, float alpha, float beta) {
    float *y = out;
    switch (op) {
    case MARTLET_NEG: LOOP(-v)
    case MARTLET_ABS: LOOP(__builtin_fabsf(v))
    case MARTLET_SQRT: LOOP(__builtin_elementwise_sqrt(v))
    case MARTLET_RSQRT: LOOP(1.0f / __builtin_elementwise_sqrt(v))
    case MARTLET_RECIPROCAL: LOOP(1.0f / v)
    case MARTLET_SQUARE: LOOP(v * v)
    case MARTLET_EXP: LOOP(martlet_v_exp(v))
    case MARTLET_ERF: LOOP(martlet_v_erf(v))
    case MARTLET_TANH: LOOP(martlet_v_tanh(v))
    case MARTLET_SIGMOID: LOOP(martlet_v_sigmoid(v))
    case MARTLET_RELU: LOOP(v < 0 ? 0 : v)
    case MARTLET_LEAKY_RELU: LOOP(v < 0 ? alpha * v : v)
    case MARTLET_GELU_ERF: LOOP(martlet_v_gelu_erf(v))
    case MARTLET_GELU_TANH: LOOP(martlet_v_gelu_tanh(v))
    case MARTLET_SILU: LOOP(martlet_v_silu(v))
    case MARTLET_SOFTSIGN: LOOP(v / (1.0f + __builtin_fabsf(v)))
    case MARTLET_HARD_SIGMOID: LOOP(martlet_v_clamp(alpha * v + beta, 0, 1))
    case MARTLET_HARD_SWISH: LOOP(v * martlet_v_clamp(v * (1.0f / 6) + 0.5f, 0, 1))
    case MARTLET_THRESHOLDED_RELU: LOOP(v > alpha ? v : 0)
    case MARTLET_CLIP: LOOP(martlet_v_clamp(v, alpha, beta))
    case MARTLET_FLOOR: LOOP(__builtin_elementwise_floor(v))
    case MARTLET_CEIL: LOOP(__builtin_elementwise_ceil(v))
    case MARTLET_ROUND: LOOP(__builtin_elementwise_roundeven(v))
    case MARTLET_TRUNCATE: LOOP(__builtin_elementwise_trunc(v))
    default: return 0;
    }
    return 1;
}
#undef LOOP

#define LOOP(OUT, EXPRESSION)                                                                  \
    if (sa == 1 && sb == 1)                                                                    \
        for (int64_t i = 0; i < n; i++) {                                                      \
            float u = a[i], v = b[i];                                                          \
            OUT[i] = (EXPRESSION);                                                             \
        }                                                                                      \
    else if (sb == 0) {                                                                        \
        float v = b[0];                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                      \
            float u = a[i];                                                                    \
            OUT[i] = (EXPRESSION);                                                             \
        }                                                                                      \
    } else {                                                                                   \
        float u = a[0];                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                      \
            float v = b[i];                                                                    \
            OUT[i] = (EXPRESSION);                                                             \
        }                                                                                      \
    }                                                                                          \
    break;

TARGET static int32_t NAME(binary)(
    martlet_binary op, const float *a, int64_t sa, const float *b, int64_t sb, void *out,
    int64_t n) {
    float *y = out;
    uint8_t *flags = out;
    if (!(sa == 1 && (sb == 1 || sb == 0)) && !(sa == 0 && sb == 1)) return 0;
    switch (op) {
    case MARTLET_ADD: LOOP(y, u + v)
    case MARTLET_SUB: LOOP(y, u - v)
    case MARTLET_MUL: LOOP(y, u *v)
    case MARTLET_DIV: LOOP(y, u / v)
    case MARTLET_MIN: LOOP(y, u < v || u != u ? u : v)
    case MARTLET_MAX: LOOP(y, u > v || u != u ? u : v)
    case MARTLET_PRELU: LOOP(y, u < 0 ? v * u : u)
    case MARTLET_EQUAL: LOOP(flags, u == v)
    case MARTLET_NOT_EQUAL: LOOP(flags, u != v)
    case MARTLET_LESS: LOOP(flags, u < v)
    case MARTLET_LESS_EQUAL: LOOP(flags, u <= v)
    case MARTLET_GREATER: LOOP(flags, u > v)
    case MARTLET_GREATER_EQUAL: LOOP(flags, u >= v)
    default: return 0;
    }
    return 1;
}
#undef LOOP

TARGET static void NAME(activate)(
    martlet_activation activation, float *c, int64_t rows, int64_t columns, int64_t stride,
    float minimum, float maximum) {
#define EACH(EXPRESSION)                                                                       \
    for (int64_t r = 0; r < rows; r++)                                                         \
        for (int64_t i = 0; i < columns; i++) {                                                \
            float v = c[r * stride + i];                                                       \
            c[r * stride + i] = (EXPRESSION);                                                  \
        }                                                                                      \
    break;
    switch (activation) {
    case MARTLET_ACTIVATION_NONE: break;
    case MARTLET_ACTIVATION_RELU: EACH(v < 0 ? 0 : v)
    case MARTLET_ACTIVATION_CLIP: EACH(martlet_v_clamp(v, minimum, maximum))
    case MARTLET_ACTIVATION_GELU_ERF: EACH(martlet_v_gelu_erf(v))
    case MARTLET_ACTIVATION_GELU_TANH: EACH(martlet_v_gelu_tanh(v))
    case MARTLET_ACTIVATION_SILU: EACH(martlet_v_silu(v))
    case MARTLET_ACTIVATION_SIGMOID: EACH(martlet_v_sigmoid(v))
    case MARTLET_ACTIVATION_TANH: EACH(martlet_v_tanh(v))
    case MARTLET_ACTIVATION_HARD_SWISH: EACH(v * martlet_v_clamp(v * (1.0f / 6) + 0.5f, 0, 1))
    case MARTLET_ACTIVATION_LEAKY_RELU: EACH(v < 0 ? minimum * v : v)
    }
#undef EACH
}

// Sums and maxima keep LANES running values, since the compiler may not reorder floating sums.
enum { LANES = 64 };

#define LANE_SUM(EXPRESSION)                                                                   \
    float lane[LANES] = {0}, total = 0;                                                        \
    int64_t i = 0;                                                                             \
    for (; i + LANES <= n; i += LANES)                                                         \
        for (int64_t l = 0; l < LANES; l++) {                                                  \
            int64_t at = i + l;                                                                \
            lane[l] += (EXPRESSION);                                                           \
        }                                                                                      \
    for (int64_t l = 0; i < n; i++, l++) {                                                     \
        int64_t at = i;                                                                        \
        lane[l] += (EXPRESSION);                                                               \
    }                                                                                          \
    for (int64_t width = LANES / 2; width > 0; width /= 2)                                     \
        for (int64_t l = 0; l < width; l++) lane[l] += lane[l + width];                        \
    total = lane[0];

TARGET static float NAME(dot)(const float *a, const float *b, int64_t n) {
    LANE_SUM(a[at] * b[at])
    return total;
}
TARGET static float NAME(distance)(const float *a, const float *b, int64_t n) {
    LANE_SUM((a[at] - b[at]) * (a[at] - b[at]))
    return total;
}
TARGET static float NAME(sum)(const float *x, int64_t n) {
    LANE_SUM(x[at])
    return total;
}
TARGET static float NAME(absolute_sum)(const float *x, int64_t n) {
    LANE_SUM(__builtin_fabsf(x[at]))
    return total;
}
TARGET static float NAME(squares)(const float *x, int64_t n, float mean) {
    LANE_SUM((x[at] - mean) * (x[at] - mean))
    return total;
}
TARGET static float NAME(maximum)(const float *x, int64_t n) {
    float lane[LANES], most = -INFINITY;
    for (int64_t l = 0; l < LANES; l++) lane[l] = -INFINITY;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int64_t l = 0; l < LANES; l++) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    for (int64_t l = 0; i < n; i++, l++) lane[l] = x[i] > lane[l] ? x[i] : lane[l];
    for (int64_t l = 0; l < LANES; l++) most = lane[l] > most ? lane[l] : most;
    return most;
}

TARGET static void NAME(scale)(float *x, float factor, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] *= factor;
}

TARGET static float NAME(exp_sum)(const float *x, float *y, int64_t n, float most) {
    float lane[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int64_t l = 0; l < LANES; l++) {
            float e = martlet_v_exp_negative(x[i + l] - most);
            y[i + l] = e;
            lane[l] += e;
        }
    for (int64_t l = 0; i < n; i++, l++) {
        float e = martlet_v_exp_negative(x[i] - most);
        y[i] = e;
        lane[l] += e;
    }
    for (int64_t width = LANES / 2; width > 0; width /= 2)
        for (int64_t l = 0; l < width; l++) lane[l] += lane[l + width];
    return lane[0];
}

TARGET static float NAME(softmax_scores)(float *x, const float *mask, int64_t n) {
    if (mask)
        for (int64_t i = 0; i < n; i++) x[i] += mask[i];
    float most = NAME(maximum)(x, n);
    if (most == -INFINITY) {
        for (int64_t i = 0; i < n; i++) x[i] = 0;
        return 0;
    }
    return NAME(exp_sum)(x, x, n, most);
}

TARGET static void NAME(softmax_row)(const float *x, float *y, int64_t n, int32_t logarithm) {
    float most = NAME(maximum)(x, n);
    if (logarithm) {
        float lane[LANES] = {0}, total = 0;
        for (int64_t i = 0; i < n; i += LANES) {
            int64_t size = n - i < LANES ? n - i : LANES;
            for (int64_t l = 0; l < size; l++) lane[l] += martlet_v_exp_negative(x[i + l] - most);
        }
        for (int64_t l = 0; l < LANES; l++) total += lane[l];
        float shift = logf(total);
        for (int64_t i = 0; i < n; i++) y[i] = x[i] - most - shift;
        return;
    }
    float factor = 1.0f / NAME(exp_sum)(x, y, n, most);
    for (int64_t i = 0; i < n; i++) y[i] *= factor;
}

// Columns [0, columns) of x[n][inner], at most LANES at once.
TARGET static void NAME(softmax_columns)(
    const float *x, float *y, int64_t n, int64_t inner, int64_t columns, int32_t logarithm) {
    for (int64_t c = 0; c < columns; c += LANES) {
        float most[LANES], total[LANES];
        int64_t size = columns - c < LANES ? columns - c : LANES;
        for (int64_t l = 0; l < LANES; l++) most[l] = -INFINITY, total[l] = 0;
        for (int64_t j = 0; j < n; j++)
            for (int64_t l = 0; l < size; l++) {
                float v = x[j * inner + c + l];
                most[l] = v > most[l] ? v : most[l];
            }
        for (int64_t j = 0; j < n; j++)
            for (int64_t l = 0; l < size; l++) {
                float v = x[j * inner + c + l] - most[l], e = martlet_v_exp_negative(v);
                y[j * inner + c + l] = logarithm ? v : e;
                total[l] += e;
            }
        for (int64_t l = 0; l < size; l++) total[l] = logarithm ? logf(total[l]) : 1.0f / total[l];
        for (int64_t j = 0; j < n; j++)
            for (int64_t l = 0; l < size; l++) {
                float v = y[j * inner + c + l];
                y[j * inner + c + l] = logarithm ? v - total[l] : v * total[l];
            }
    }
}

TARGET static void NAME(normalize)(const martlet_norm_f32_args *a, int centered) {
    for (int64_t r = 0; r < a->rows; r++) {
        const float *x = a->x + r * a->x_row_stride;
        float *y = a->y + r * a->y_row_stride;
        int64_t n = a->n;
        if (a->residual) {
            const float *residual = a->residual + r * a->residual_row_stride;
            float *sum = a->sum ? a->sum + r * a->sum_row_stride : y;
            for (int64_t i = 0; i < n; i++) sum[i] = x[i] + residual[i];
            x = sum;
        } else if (a->sum)
            memmove(a->sum + r * a->sum_row_stride, x, (size_t)n * sizeof(float));
        float mean = centered && n ? NAME(sum)(x, n) / (float)n : 0;
        float inverse =
            1.0f / sqrtf(NAME(squares)(x, n, mean) / (float)(n ? n : 1) + a->epsilon);
        const float *gamma = a->gamma, *beta = a->beta;
        if (gamma && beta)
            for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * inverse * gamma[i] + beta[i];
        else if (gamma)
            for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * inverse * gamma[i];
        else
            for (int64_t i = 0; i < n; i++)
                y[i] = (x[i] - mean) * inverse + (beta ? beta[i] : 0);
        if (a->mean) a->mean[r] = mean;
        if (a->inverse) a->inverse[r] = inverse;
    }
}
TARGET static void NAME(layer_norm)(const martlet_norm_f32_args *args) {
    NAME(normalize)(args, 1);
}
TARGET static void NAME(rms_norm)(const martlet_norm_f32_args *args) { NAME(normalize)(args, 0); }

TARGET static int32_t NAME(reduce)(
    martlet_reduction op, const float *x, float *y, int64_t n, int64_t inner) {
    if (n == 0) return 0;
    if (inner == 1) {
        switch (op) {
        case MARTLET_REDUCE_SUM: y[0] = NAME(sum)(x, n); break;
        case MARTLET_REDUCE_MEAN: y[0] = NAME(sum)(x, n) / (float)n; break;
        case MARTLET_REDUCE_L1: y[0] = NAME(absolute_sum)(x, n); break;
        case MARTLET_REDUCE_L2: y[0] = sqrtf(NAME(dot)(x, x, n)); break;
        case MARTLET_REDUCE_SUM_SQUARE: y[0] = NAME(dot)(x, x, n); break;
        default: return 0;
        }
        return 1;
    }
#define ROWS(START, EXPRESSION)                                                                \
    for (int64_t i = 0; i < inner; i++) y[i] = START;                                          \
    for (int64_t j = 0; j < n; j++)                                                            \
        for (int64_t i = 0; i < inner; i++) {                                                  \
            float v = x[j * inner + i];                                                        \
            y[i] = (EXPRESSION);                                                               \
        }
    switch (op) {
    case MARTLET_REDUCE_SUM: case MARTLET_REDUCE_MEAN: ROWS(0, y[i] + v) break;
    case MARTLET_REDUCE_MAX: ROWS(-INFINITY, y[i] > v || y[i] != y[i] ? y[i] : v) break;
    case MARTLET_REDUCE_MIN: ROWS(INFINITY, y[i] < v || y[i] != y[i] ? y[i] : v) break;
    case MARTLET_REDUCE_L1: ROWS(0, y[i] + __builtin_fabsf(v)) break;
    case MARTLET_REDUCE_L2: case MARTLET_REDUCE_SUM_SQUARE: ROWS(0, y[i] + v * v) break;
    default: return 0;
    }
#undef ROWS
    if (op == MARTLET_REDUCE_MEAN) NAME(scale)(y, 1.0f / (float)n, inner);
    if (op == MARTLET_REDUCE_L2)
        for (int64_t i = 0; i < inner; i++) y[i] = __builtin_elementwise_sqrt(y[i]);
    return 1;
}

TARGET static void NAME(f32_to_bf16)(const float *x, uint16_t *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        martlet_bits b = {x[i]};
        uint32_t rounded = (b.u + 0x7fff + (b.u >> 16 & 1)) >> 16;
        y[i] = (uint16_t)((b.u & 0x7fffffff) > 0x7f800000 ? b.u >> 16 | 0x40 : rounded);
    }
}
TARGET static void NAME(bf16_to_f32)(const uint16_t *x, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        martlet_bits b = {.u = (uint32_t)x[i] << 16};
        y[i] = b.f;
    }
}

TARGET static void NAME(depthwise)(
    const float *const *pixels, const float *const *weights, int64_t taps, float *y,
    const float *bias, const float *residual, int64_t count) {
    for (int64_t c = 0; c < count; c += LANES) {
        float lane[LANES];
        int64_t size = count - c < LANES ? count - c : LANES;
        for (int64_t l = 0; l < LANES; l++) lane[l] = 0;
        if (size == LANES)
            for (int64_t t = 0; t < taps; t++) {
                const float *x = pixels[t] + c, *w = weights[t] + c;
                for (int64_t l = 0; l < LANES; l++) lane[l] += x[l] * w[l];
            }
        else
            for (int64_t t = 0; t < taps; t++) {
                const float *x = pixels[t] + c, *w = weights[t] + c;
                for (int64_t l = 0; l < size; l++) lane[l] += x[l] * w[l];
            }
        if (bias)
            for (int64_t l = 0; l < size; l++) lane[l] += bias[c + l];
        if (residual)
            for (int64_t l = 0; l < size; l++) lane[l] += residual[c + l];
        for (int64_t l = 0; l < size; l++) y[c + l] = lane[l];
    }
}

TARGET static void NAME(finish)(
    const float *x, const float *bias, const float *residual, float *y, int64_t n,
    martlet_activation activation, float minimum, float maximum) {
    if (bias && residual)
        for (int64_t i = 0; i < n; i++) y[i] = x[i] + bias[i] + residual[i];
    else if (bias)
        for (int64_t i = 0; i < n; i++) y[i] = x[i] + bias[i];
    else
        for (int64_t i = 0; i < n; i++) y[i] = x[i] + (residual ? residual[i] : 0);
    if (activation != MARTLET_ACTIVATION_NONE)
        NAME(activate)(activation, y, 1, n, n, minimum, maximum);
}

TARGET static void NAME(scale_shift)(
    const float *x, const float *scale, const float *shift, float *y, int64_t n,
    martlet_activation activation, float minimum, float maximum) {
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale[i] + shift[i];
    if (activation != MARTLET_ACTIVATION_NONE)
        NAME(activate)(activation, y, 1, n, n, minimum, maximum);
}
