// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Included with REAL (the type) and M (the C library's name for that type).
static void UNARY(martlet_unary op, const REAL *x, void *out, int64_t n, REAL alpha, REAL beta) {
    REAL *y = out;
    uint8_t *flags = out;
#define EACH(EXPRESSION)                                                                       \
    for (int64_t i = 0; i < n; i++) {                                                          \
        REAL v = x[i];                                                                         \
        y[i] = (EXPRESSION);                                                                   \
    }                                                                                          \
    break;
    switch (op) {
    case MARTLET_NEG: EACH(-v)
    case MARTLET_ABS: EACH(M(fabs)(v))
    case MARTLET_SIGN: EACH(v > 0 ? 1 : v < 0 ? -1 : v)
    case MARTLET_NOT: EACH(v == 0)
    case MARTLET_SQRT: EACH(M(sqrt)(v))
    case MARTLET_RSQRT: EACH(1 / M(sqrt)(v))
    case MARTLET_RECIPROCAL: EACH(1 / v)
    case MARTLET_SQUARE: EACH(v * v)
    case MARTLET_EXP: EACH(M(exp)(v))
    case MARTLET_EXPM1: EACH(M(expm1)(v))
    case MARTLET_LOG: EACH(M(log)(v))
    case MARTLET_LOG1P: EACH(M(log1p)(v))
    case MARTLET_ERF: EACH(M(erf)(v))
    case MARTLET_TANH: EACH(M(tanh)(v))
    case MARTLET_SIGMOID: EACH(1 / (1 + M(exp)(-v)))
    case MARTLET_RELU: EACH(v < 0 ? 0 : v)
    case MARTLET_LEAKY_RELU: EACH(v < 0 ? alpha * v : v)
    case MARTLET_ELU: EACH(v < 0 ? alpha * M(expm1)(v) : v)
    case MARTLET_CELU: EACH(v < 0 ? alpha * M(expm1)(v / alpha) : v)
    case MARTLET_SELU: EACH(beta * (v <= 0 ? alpha * M(expm1)(v) : v))
    case MARTLET_GELU_ERF: EACH((REAL)0.5 * v * (1 + M(erf)(v * (REAL)0.70710678118654752)))
    case MARTLET_GELU_TANH:
        EACH((REAL)0.5 * v *
             (1 + M(tanh)((REAL)0.79788456080286536 * (v + (REAL)0.044715 * v * v * v))))
    case MARTLET_SILU: EACH(v / (1 + M(exp)(-v)))
    case MARTLET_MISH: EACH(v * M(tanh)(v > 20 ? v : M(log1p)(M(exp)(v))))
    case MARTLET_SOFTPLUS: EACH(M(fmax)(v, 0) + M(log1p)(M(exp)(-M(fabs)(v))))
    case MARTLET_SOFTSIGN: EACH(v / (1 + M(fabs)(v)))
    case MARTLET_HARD_SIGMOID: EACH(v != v ? v : M(fmax)(0, M(fmin)(1, alpha * v + beta)))
    case MARTLET_HARD_SWISH: EACH(v * M(fmax)(0, M(fmin)(1, v / 6 + (REAL)0.5)))
    case MARTLET_THRESHOLDED_RELU: EACH(v > alpha ? v : 0)
    case MARTLET_CLIP: {
        for (int64_t i = 0; i < n; i++) {
            REAL v = x[i] < alpha ? alpha : x[i];
            y[i] = v > beta ? beta : v;
        }
        break;
    }
    case MARTLET_FLOOR: EACH(M(floor)(v))
    case MARTLET_CEIL: EACH(M(ceil)(v))
    case MARTLET_ROUND: EACH(M(rint)(v))
    case MARTLET_TRUNCATE: EACH(M(trunc)(v))
    case MARTLET_SIN: EACH(M(sin)(v))
    case MARTLET_COS: EACH(M(cos)(v))
    case MARTLET_TAN: EACH(M(tan)(v))
    case MARTLET_ASIN: EACH(M(asin)(v))
    case MARTLET_ACOS: EACH(M(acos)(v))
    case MARTLET_ATAN: EACH(M(atan)(v))
    case MARTLET_SINH: EACH(M(sinh)(v))
    case MARTLET_COSH: EACH(M(cosh)(v))
    case MARTLET_ASINH: EACH(M(asinh)(v))
    case MARTLET_ACOSH: EACH(M(acosh)(v))
    case MARTLET_ATANH: EACH(M(atanh)(v))
    case MARTLET_IS_NAN:
        for (int64_t i = 0; i < n; i++) flags[i] = isnan(x[i]) != 0;
        break;
    case MARTLET_IS_INF:
        for (int64_t i = 0; i < n; i++)
            flags[i] = isinf(x[i]) && (x[i] > 0 ? alpha != 0 : beta != 0);
        break;
    default: break;
    }
#undef EACH
}
