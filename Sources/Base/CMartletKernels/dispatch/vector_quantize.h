// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Floats to 8 bits and back, after vector_kernels.h and with its TARGET, NAME and LANES.

typedef uint8_t NAME(byte_lanes) __attribute__((ext_vector_type(LANES), aligned(1)));
typedef int8_t NAME(signed_lanes) __attribute__((ext_vector_type(LANES), aligned(1)));
typedef uint32_t NAME(word_lanes) __attribute__((ext_vector_type(LANES), aligned(4)));

// saturate(round(x / scale) + zero); a NaN becomes the lowest.
TARGET MARTLET_INLINE NAME(whole_lanes) NAME(quantized)(
    VECTOR x, float scale, float zero, float low, float high) {
    VECTOR v = __builtin_elementwise_roundeven(x / scale) + zero;
    v = v > (VECTOR)(low) ? v : (VECTOR)(low);
    v = v < (VECTOR)(high) ? v : (VECTOR)(high);
    return __builtin_convertvector(v, NAME(whole_lanes));
}

TARGET static void NAME(quantize)(
    const float *x, void *out, int64_t n, float scale, float zero, int32_t is_signed) {
    uint8_t *y = out;
    float low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        *(NAME(byte_lanes) *)(y + i) = __builtin_convertvector(
            NAME(quantized)(AT(x + i), scale, zero, low, high), NAME(byte_lanes));
    if (i == n) return;
    NAME(byte_lanes) rest = __builtin_convertvector(
        NAME(quantized)(NAME(load_rest)(x + i, n - i, 0), scale, zero, low, high),
        NAME(byte_lanes));
    memcpy(y + i, &rest, (size_t)(n - i));
}

TARGET static void NAME(dequantize)(
    const void *in, float *y, int64_t n, float scale, int32_t zero, int32_t is_signed) {
    const uint8_t *x = in;
    const int8_t *s = in;
    if (is_signed)
        for (int64_t i = 0; i < n; i++) y[i] = (float)(s[i] - zero) * scale;
    else
        for (int64_t i = 0; i < n; i++) y[i] = (float)(x[i] - zero) * scale;
}

// Both start at 0; a NaN makes one of them NaN.
TARGET static void NAME(range)(const float *x, int64_t n, float *low, float *high) {
    VECTOR a = (VECTOR)(0.0f), b = a, c = a, d = a, odd = a;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        VECTOR u = AT(x + i), v = AT(x + i + LANES);
        a = u < a ? u : a;
        b = u > b ? u : b;
        c = v < c ? v : c;
        d = v > d ? v : d;
        odd += (u - u) + (v - v);
    }
    for (; i < n; i += LANES) {
        VECTOR u = i + LANES <= n ? AT(x + i) : NAME(load_rest)(x + i, n - i, 0);
        a = u < a ? u : a;
        b = u > b ? u : b;
        odd += u - u;
    }
    float least = 0, most = 0, spoiled = NAME(total)(odd);
    for (int64_t l = 0; l < LANES; l++) {
        least = martlet_least(least, martlet_least(a[l], c[l]));
        most = -martlet_least(-most, -(b[l] > d[l] ? b[l] : d[l]));
    }
    *low = least + spoiled;
    *high = most + spoiled;
}

// To 8 bits around 128 by the row's largest magnitude, padded to whole groups of four; gives the
// scale. A row that is not finite is all zero with a scale of NaN.
TARGET static float NAME(quantize_row)(const float *x, uint8_t *y, int64_t n) {
    float low, high;
    NAME(range)(x, n, &low, &high);
    float largest = high > -low ? high : -low;
    int64_t padded = martlet_round_up(n, 4), i = 0;
    if (!(low - high <= 0) || !(largest < INFINITY)) {
        memset(y, 128, (size_t)padded);
        return NAN;
    }
    float inverse = largest > 0 ? 127 / largest : 0;
    for (; i + LANES <= n; i += LANES) {
        VECTOR v = __builtin_elementwise_roundeven(AT(x + i) * inverse) + 128.0f;
        *(NAME(byte_lanes) *)(y + i) = __builtin_convertvector(
            __builtin_convertvector(v, NAME(whole_lanes)), NAME(byte_lanes));
    }
    for (; i < n; i++)
        y[i] = (uint8_t)(int32_t)(__builtin_elementwise_roundeven(x[i] * inverse) + 128.0f);
    for (; i < padded; i++) y[i] = 128;
    return largest / 127;
}

TARGET static int32_t NAME(sum_bytes)(const uint8_t *x, int64_t n) {
    uint32_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return (int32_t)sum;
}

// Rows of 32 4-bit values, column j low and column j + 16 high, as floats.
TARGET static void NAME(unpack_int4)(
    const uint8_t *x, const float *scales, const float *offsets, float *y, int64_t rows) {
    enum { HALF = MARTLET_PANEL / 2, PIECES = HALF / LANES };
    for (int64_t r = 0; r < rows; r++, x += HALF, y += MARTLET_PANEL)
        for (int64_t i = 0; i < PIECES; i++) {
            int64_t at = i * LANES;
            NAME(byte_lanes) both = *(const NAME(byte_lanes) *)(x + at);
            VECTOR low = __builtin_convertvector(
                __builtin_convertvector(both & 15, NAME(word_lanes)), VECTOR);
            VECTOR high = __builtin_convertvector(
                __builtin_convertvector(both >> 4, NAME(word_lanes)), VECTOR);
            PUT(y + at) = low * AT(scales + at) + AT(offsets + at);
            PUT(y + HALF + at) = high * AT(scales + HALF + at) + AT(offsets + HALF + at);
        }
}
