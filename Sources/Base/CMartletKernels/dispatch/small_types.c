// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "internal.h"

/// How a small float is laid out. Exponent 0 means numbers without the leading 1.
typedef struct {
    int32_t bits, mantissa, bias;
    float maximum;
    uint8_t not_a_number;  // without its sign where that is free
    uint8_t infinity;      // 0 where there is none
    int has_negative_zero;
} layout;

static const layout layouts[] = {
    [MARTLET_F8_E4M3FN] = {8, 3, 7, 448, 0x7f, 0, 1},
    [MARTLET_F8_E4M3FNUZ] = {8, 3, 8, 240, 0x80, 0, 0},
    [MARTLET_F8_E5M2] = {8, 2, 15, 57344, 0x7e, 0x7c, 1},
    [MARTLET_F8_E5M2FNUZ] = {8, 2, 16, 57344, 0x80, 0, 0},
    [MARTLET_F8_E8M0] = {8, 0, 127, 0x1p127f, 0xff, 0, 0},
    [MARTLET_F4_E2M1] = {4, 1, 1, 6, 0, 0, 1},
};

static int bits_of(martlet_small type) {
    return type <= MARTLET_F8_E8M0 ? 8 : type <= MARTLET_I4 ? 4 : 2;
}

static float decoded_float(martlet_small type, uint8_t code) {
    const layout *l = &layouts[type];
    if (type == MARTLET_F8_E8M0) return code == 0xff ? NAN : ldexpf(1, (int)code - l->bias);
    int sign = code >> (l->bits - 1), rest = code & ((1 << (l->bits - 1)) - 1);
    if (l->bits == 8) {
        if (l->infinity && rest >= l->infinity)
            return rest == l->infinity ? (sign ? -INFINITY : INFINITY) : NAN;
        if (l->has_negative_zero ? rest == l->not_a_number : code == l->not_a_number) return NAN;
    }
    int exponent = rest >> l->mantissa, fraction = rest & ((1 << l->mantissa) - 1);
    float value = exponent
        ? ldexpf((float)(fraction + (1 << l->mantissa)), exponent - l->bias - l->mantissa)
        : ldexpf((float)fraction, 1 - l->bias - l->mantissa);
    return sign ? -value : value;
}

static uint8_t encoded_power(float x, int saturate, martlet_rounding rounding) {
    if (isnan(x) || x < 0) return 0xff;
    if (isinf(x)) return saturate ? 0xfe : 0xff;
    if (x == 0) return saturate ? 0 : 0xff;
    int exponent;
    float fraction = frexpf(x, &exponent);  // in [0.5, 1)
    exponent -= 1;
    int up = rounding == MARTLET_ROUND_UP ? fraction > 0.5f
        : rounding == MARTLET_ROUND_DOWN ? 0 : fraction >= 0.75f;
    exponent += up + 127;
    if (exponent < 0) return saturate ? 0 : 0xff;
    if (exponent > 0xfe) return saturate ? 0xfe : 0xff;
    return (uint8_t)exponent;
}

static uint8_t encoded_float(martlet_small type, float x, int saturate) {
    const layout *l = &layouts[type];
    uint8_t sign = signbit(x) ? (uint8_t)(1 << (l->bits - 1)) : 0;
    // A four-bit float has no NaN: its conversion gives -0.
    if (isnan(x)) {
        if (l->bits == 4) return 8;
        return l->has_negative_zero ? sign | l->not_a_number : l->not_a_number;
    }
    float magnitude = fabsf(x), value = INFINITY;
    int exponent = 1 - l->bias, steps = 0;
    if (!isinf(magnitude)) {
        if (magnitude > 0) exponent = (int)martlet_max(ilogbf(magnitude), exponent);
        steps = (int)rintf(ldexpf(magnitude, l->mantissa - exponent));
        value = ldexpf((float)steps, exponent - l->mantissa);
    }
    if (value > l->maximum) {
        if (saturate || l->bits == 4) {
            uint8_t most = encoded_float(type, l->maximum, 1);
            return sign | most;
        }
        if (l->infinity) return sign | l->infinity;
        return l->has_negative_zero ? sign | l->not_a_number : l->not_a_number;
    }
    int whole = 1 << l->mantissa;
    int code = steps < whole ? steps : ((exponent + l->bias) << l->mantissa) + steps - whole;
    if (code == 0 && !l->has_negative_zero) return 0;
    return sign | (uint8_t)code;
}

/// Towards zero, then the low bits: as conversions between larger whole numbers.
static uint8_t encoded_integer(float x) {
    if (isnan(x)) return 0;
    return (uint8_t)(int64_t)fminf(fmaxf(x, -0x1p62f), 0x1p62f);
}

int32_t martlet_small_decode(martlet_small type, const void *x, float *y, int64_t n) {
    if ((uint32_t)type >= MARTLET_SMALL_COUNT) return -1;
    int bits = bits_of(type), per_byte = 8 / bits, mask = (1 << bits) - 1;
    for (int64_t i = 0; i < n; i++) {
        int code = ((const uint8_t *)x)[i / per_byte] >> (i % per_byte * bits) & mask;
        if (type <= MARTLET_F4_E2M1) y[i] = decoded_float(type, (uint8_t)code);
        else if (type == MARTLET_I4 || type == MARTLET_I2)
            y[i] = (float)(code >= 1 << (bits - 1) ? code - (1 << bits) : code);
        else y[i] = (float)code;
    }
    return 0;
}

static void store(uint8_t *y, int64_t i, int bits, uint8_t code) {
    int per_byte = 8 / bits, shift = (int)(i % per_byte) * bits;
    uint8_t value = (uint8_t)((code & ((1 << bits) - 1)) << shift);
    y[i / per_byte] = shift == 0 ? value : y[i / per_byte] | value;
}

int32_t martlet_small_encode(
    martlet_small type, int32_t saturate, martlet_rounding rounding, const float *x, void *y,
    int64_t n) {
    if ((uint32_t)type >= MARTLET_SMALL_COUNT) return -1;
    int bits = bits_of(type);
    for (int64_t i = 0; i < n; i++) {
        uint8_t code = type == MARTLET_F8_E8M0 ? encoded_power(x[i], saturate, rounding)
            : type <= MARTLET_F4_E2M1 ? encoded_float(type, x[i], saturate)
            : encoded_integer(x[i]);
        store(y, i, bits, code);
    }
    return 0;
}

int32_t martlet_small_pack(martlet_small type, const uint8_t *x, void *y, int64_t n) {
    if ((uint32_t)type >= MARTLET_SMALL_COUNT) return -1;
    int bits = bits_of(type);
    for (int64_t i = 0; i < n; i++) store(y, i, bits, x[i]);
    return 0;
}
