// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "../dispatch/binary.h"

// Strides as constants let the compiler vectorise the three common cases.
#define EACH(OUT, EXPRESSION)                                                                  \
    do {                                                                                       \
        if (sa == 1 && sb == 1)                                                                \
            for (int64_t i = 0; i < n; i++) LOOP_BODY(OUT, EXPRESSION, i, i)                   \
        else if (sa == 1 && sb == 0)                                                           \
            for (int64_t i = 0; i < n; i++) LOOP_BODY(OUT, EXPRESSION, i, 0)                   \
        else                                                                                   \
            for (int64_t i = 0; i < n; i++) LOOP_BODY(OUT, EXPRESSION, i * sa, i * sb)         \
    } while (0);                                                                               \
    break;
#define LOOP_BODY(OUT, EXPRESSION, IA, IB)                                                     \
    {                                                                                          \
        VALUE u = a[IA], v = b[IB];                                                            \
        OUT[i] = (EXPRESSION);                                                                 \
    }
#define COMPARISONS                                                                            \
    case MARTLET_EQUAL: EACH(flags, u == v)                                                    \
    case MARTLET_NOT_EQUAL: EACH(flags, u != v)                                                \
    case MARTLET_LESS: EACH(flags, u < v)                                                      \
    case MARTLET_LESS_EQUAL: EACH(flags, u <= v)                                               \
    case MARTLET_GREATER: EACH(flags, u > v)                                                   \
    case MARTLET_GREATER_EQUAL: EACH(flags, u >= v)

static float mod_f32(float u, float v) {
    float r = fmodf(u, v);
    return r != 0 && (r < 0) != (v < 0) ? r + v : r;
}
static double mod_f64(double u, double v) {
    double r = fmod(u, v);
    return r != 0 && (r < 0) != (v < 0) ? r + v : r;
}

#define FLOATING(NAME, TYPE, POW, FMOD, MOD)                                                   \
    static void NAME(martlet_binary op, const TYPE *a, int64_t sa, const TYPE *b, int64_t sb,  \
                     void *out, int64_t n) {                                                   \
        TYPE *y = out;                                                                         \
        uint8_t *flags = out;                                                                  \
        switch (op) {                                                                          \
        case MARTLET_ADD: EACH(y, u + v)                                                       \
        case MARTLET_SUB: EACH(y, u - v)                                                       \
        case MARTLET_MUL: EACH(y, u *v)                                                        \
        case MARTLET_DIV: EACH(y, u / v)                                                       \
        case MARTLET_POW: EACH(y, POW(u, v))                                                   \
        case MARTLET_MIN: EACH(y, u < v || u != u ? u : v)                                     \
        case MARTLET_MAX: EACH(y, u > v || u != u ? u : v)                                     \
        case MARTLET_MOD: EACH(y, MOD(u, v))                                                   \
        case MARTLET_FMOD: EACH(y, FMOD(u, v))                                                 \
        case MARTLET_PRELU: EACH(y, u < 0 ? v * u : u)                                         \
            COMPARISONS                                                                        \
        default: break;                                                                        \
        }                                                                                      \
    }
#define VALUE float
FLOATING(row_f32, float, powf, fmodf, mod_f32)
#undef VALUE
#define VALUE double
FLOATING(row_f64, double, pow, fmod, mod_f64)
#undef VALUE

static uint64_t power_u64(uint64_t base, uint64_t exponent) {
    uint64_t result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}
static int64_t power_i64(int64_t base, int64_t exponent) {
    if (exponent >= 0) return (int64_t)power_u64((uint64_t)base, (uint64_t)exponent);
    return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
}
static int64_t quotient_i64(int64_t u, int64_t v) {
    return v == 0 ? 0 : v == -1 ? (int64_t)(0 - (uint64_t)u) : u / v;
}
static int64_t remainder_i64(int64_t u, int64_t v) { return v == 0 || v == -1 ? 0 : u % v; }
static int64_t modulo_i64(int64_t u, int64_t v) {
    int64_t r = remainder_i64(u, v);
    return r != 0 && (r < 0) != (v < 0) ? r + v : r;
}
static uint64_t quotient_u64(uint64_t u, uint64_t v) { return v == 0 ? 0 : u / v; }
static uint64_t remainder_u64(uint64_t u, uint64_t v) { return v == 0 ? 0 : u % v; }

#define INTEGER(NAME, TYPE, WIDE, BITS, POW, DIV, REM, MOD)                                    \
    static void NAME(martlet_binary op, const TYPE *a, int64_t sa, const TYPE *b, int64_t sb,  \
                     void *out, int64_t n) {                                                   \
        TYPE *y = out;                                                                         \
        uint8_t *flags = out;                                                                  \
        switch (op) {                                                                          \
        case MARTLET_ADD: EACH(y, (TYPE)((WIDE)u + (WIDE)v))                                   \
        case MARTLET_SUB: EACH(y, (TYPE)((WIDE)u - (WIDE)v))                                   \
        case MARTLET_MUL: EACH(y, (TYPE)((WIDE)u * (WIDE)v))                                   \
        case MARTLET_DIV: EACH(y, (TYPE)DIV(u, v))                                             \
        case MARTLET_POW: EACH(y, (TYPE)POW(u, v))                                             \
        case MARTLET_MIN: EACH(y, u < v ? u : v)                                               \
        case MARTLET_MAX: EACH(y, u > v ? u : v)                                               \
        case MARTLET_MOD: EACH(y, (TYPE)MOD(u, v))                                             \
        case MARTLET_FMOD: EACH(y, (TYPE)REM(u, v))                                            \
        case MARTLET_PRELU: EACH(y, u < 0 ? (TYPE)((WIDE)u * (WIDE)v) : u)                     \
            COMPARISONS                                                                        \
        case MARTLET_AND: EACH(y, u != 0 && v != 0)                                            \
        case MARTLET_OR: EACH(y, u != 0 || v != 0)                                             \
        case MARTLET_XOR: EACH(y, (u != 0) != (v != 0))                                        \
        case MARTLET_BIT_AND: EACH(y, (TYPE)(u & v))                                           \
        case MARTLET_BIT_OR: EACH(y, (TYPE)(u | v))                                            \
        case MARTLET_BIT_XOR: EACH(y, (TYPE)(u ^ v))                                           \
        case MARTLET_SHIFT_LEFT:                                                               \
            EACH(y, (uint64_t)v >= BITS ? 0 : (TYPE)((WIDE)u << (v & (BITS - 1))))             \
        case MARTLET_SHIFT_RIGHT:                                                              \
            EACH(y, (uint64_t)v >= BITS ? (u < 0 ? (TYPE)-1 : 0) : (TYPE)(u >> (v & (BITS - 1)))) \
        default: break;                                                                        \
        }                                                                                      \
    }
#define SIGNED(BITS, WIDE)                                                                     \
    INTEGER(row_i##BITS, int##BITS##_t, WIDE, BITS, power_i64, quotient_i64, remainder_i64,    \
            modulo_i64)
#define UNSIGNED(BITS, WIDE)                                                                   \
    INTEGER(row_u##BITS, uint##BITS##_t, WIDE, BITS, power_u64, quotient_u64, remainder_u64,   \
            remainder_u64)
#define VALUE __typeof__(*a)
_Pragma("clang diagnostic push")
_Pragma("clang diagnostic ignored \"-Wtautological-compare\"")
SIGNED(8, uint32_t)
SIGNED(16, uint32_t)
SIGNED(32, uint32_t)
SIGNED(64, uint64_t)
UNSIGNED(8, uint32_t)
UNSIGNED(16, uint32_t)
UNSIGNED(32, uint32_t)
UNSIGNED(64, uint64_t)
_Pragma("clang diagnostic pop")

static void row_half(
    int brain, martlet_binary op, const uint16_t *a, int64_t sa, const uint16_t *b, int64_t sb,
    void *y, int64_t n) {
    enum { BLOCK = 256 };
    float u[BLOCK], v[BLOCK];
    int boolean = martlet_binary_compares(op);
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t size = martlet_min(BLOCK, n - i);
        for (int64_t j = 0; j < size; j++) {
            uint16_t p = a[(i + j) * sa], q = b[(i + j) * sb];
            u[j] = brain ? martlet_of_bf16(p) : martlet_of_f16(p);
            v[j] = brain ? martlet_of_bf16(q) : martlet_of_f16(q);
        }
        row_f32(op, u, 1, v, 1, boolean ? (void *)((uint8_t *)y + i) : u, size);
        for (int64_t j = 0; j < size && !boolean; j++)
            ((uint16_t *)y)[i + j] = brain ? martlet_bf16_of(u[j]) : martlet_f16_of(u[j]);
    }
}

int32_t martlet_binary_knows(martlet_dtype type, martlet_binary op) {
    if ((uint32_t)op >= MARTLET_BINARY_COUNT) return 0;
    switch (type) {
    case MARTLET_F32: case MARTLET_F64: case MARTLET_F16: case MARTLET_BF16:
        return op <= MARTLET_GREATER_EQUAL;
    case MARTLET_BOOL:
        return op == MARTLET_EQUAL || op == MARTLET_NOT_EQUAL ||
               (op >= MARTLET_AND && op <= MARTLET_XOR);
    default: return op < MARTLET_AND || op > MARTLET_XOR;
    }
}

void martlet_binary_row(
    martlet_dtype type, martlet_binary op, const void *a, int64_t sa, const void *b, int64_t sb,
    void *y, int64_t n) {
    switch (type) {
    case MARTLET_F32: row_f32(op, a, sa, b, sb, y, n); break;
    case MARTLET_F64: row_f64(op, a, sa, b, sb, y, n); break;
    case MARTLET_F16: row_half(0, op, a, sa, b, sb, y, n); break;
    case MARTLET_BF16: row_half(1, op, a, sa, b, sb, y, n); break;
    case MARTLET_I8: row_i8(op, a, sa, b, sb, y, n); break;
    case MARTLET_I16: row_i16(op, a, sa, b, sb, y, n); break;
    case MARTLET_I32: row_i32(op, a, sa, b, sb, y, n); break;
    case MARTLET_I64: row_i64(op, a, sa, b, sb, y, n); break;
    case MARTLET_U8: case MARTLET_BOOL: row_u8(op, a, sa, b, sb, y, n); break;
    case MARTLET_U16: row_u16(op, a, sa, b, sb, y, n); break;
    case MARTLET_U32: row_u32(op, a, sa, b, sb, y, n); break;
    case MARTLET_U64: row_u64(op, a, sa, b, sb, y, n); break;
    }
}
