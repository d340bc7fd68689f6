// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Blocks of weights to floats, as the formats define them: the oracle of the packed forms.
#include "../dispatch/internal.h"

int64_t martlet_weights_block(martlet_weights type) {
    if (type <= MARTLET_WEIGHTS_BF16) return 1;
    return type <= MARTLET_WEIGHTS_Q8_0 ? 32 : 256;
}

int64_t martlet_weights_block_bytes(martlet_weights type) {
    static const int64_t bytes[MARTLET_WEIGHTS_COUNT] = {
        4, 2, 2, 18, 20, 22, 24, 34, 144, 176, 210};
    return bytes[type];
}

int64_t martlet_weights_row_bytes(martlet_weights type, int64_t k) {
    int64_t block = martlet_weights_block(type);
    return k % block ? -1 : k / block * martlet_weights_block_bytes(type);
}

static float half_at(const uint8_t *x) { return martlet_of_f16((uint16_t)(x[0] | x[1] << 8)); }

static uint32_t word_at(const uint8_t *x) {
    return (uint32_t)x[0] | (uint32_t)x[1] << 8 | (uint32_t)x[2] << 16 | (uint32_t)x[3] << 24;
}

static void decode_32(martlet_weights type, const uint8_t *x, float *y) {
    float d = half_at(x);
    int has_least = type == MARTLET_WEIGHTS_Q4_1 || type == MARTLET_WEIGHTS_Q5_1;
    int has_fifth = type == MARTLET_WEIGHTS_Q5_0 || type == MARTLET_WEIGHTS_Q5_1;
    float least = has_least ? half_at(x + 2) : 0;
    const uint8_t *rest = x + (has_least ? 4 : 2);
    uint32_t fifth = has_fifth ? word_at(rest) : 0;
    const uint8_t *q = rest + (has_fifth ? 4 : 0);
    for (int i = 0; i < 32; i++) {
        if (type == MARTLET_WEIGHTS_Q8_0) {
            y[i] = d * (int8_t)q[i];
            continue;
        }
        int value = (i < 16 ? q[i] & 15 : q[i - 16] >> 4) | (int)(fifth >> i & 1) << 4;
        int zero = has_least ? 0 : has_fifth ? 16 : 8;
        y[i] = d * (float)(value - zero) + least;
    }
}

// The six-bit scale and minimum of the 32 weights at place i of 8.
static void scale_and_least(const uint8_t *s, int i, int *scale, int *least) {
    if (i < 4) {
        *scale = s[i] & 63;
        *least = s[i + 4] & 63;
    } else {
        *scale = (s[i + 4] & 15) | (s[i - 4] >> 6) << 4;
        *least = s[i + 4] >> 4 | (s[i] >> 6) << 4;
    }
}

static void decode_4k_5k(martlet_weights type, const uint8_t *x, float *y) {
    float d = half_at(x), e = half_at(x + 2);
    const uint8_t *fifth = type == MARTLET_WEIGHTS_Q5_K ? x + 16 : NULL;
    const uint8_t *q = x + (fifth ? 48 : 16);
    for (int i = 0; i < 8; i++) {
        int scale, least;
        scale_and_least(x + 4, i, &scale, &least);
        for (int j = 0; j < 32; j++) {
            int byte = q[i / 2 * 32 + j], value = i % 2 ? byte >> 4 : byte & 15;
            if (fifth) value |= (fifth[j] >> i & 1) << 4;
            y[i * 32 + j] = d * (float)scale * (float)value - e * (float)least;
        }
    }
}

static void decode_6k(const uint8_t *x, float *y) {
    const int8_t *scales = (const int8_t *)(x + 192);
    float d = half_at(x + 208);
    for (int i = 0; i < 256; i++) {
        int half = i / 128, place = i % 128, column = place % 32, quarter = place / 32;
        int low = x[half * 64 + column + quarter % 2 * 32];
        int high = x[128 + half * 32 + column] >> (2 * quarter) & 3;
        int value = (quarter < 2 ? low & 15 : low >> 4) | high << 4;
        y[i] = d * (float)scales[i / 16] * (float)(value - 32);
    }
}

int32_t martlet_weights_decode(martlet_weights type, const void *x, float *y, int64_t n) {
    const uint8_t *from = x;
    int64_t block = martlet_weights_block(type), bytes = martlet_weights_block_bytes(type);
    if (n < 0 || n % block) return -1;
    switch (type) {
    case MARTLET_WEIGHTS_F32: memcpy(y, x, (size_t)n * 4); return 0;
    case MARTLET_WEIGHTS_F16:
        for (int64_t i = 0; i < n; i++) y[i] = half_at(from + 2 * i);
        return 0;
    case MARTLET_WEIGHTS_BF16:
        for (int64_t i = 0; i < n; i++)
            y[i] = martlet_of_bf16((uint16_t)(from[2 * i] | from[2 * i + 1] << 8));
        return 0;
    default: break;
    }
    for (int64_t i = 0; i < n / block; i++, from += bytes, y += block) {
        if (block == 32)
            decode_32(type, from, y);
        else if (type == MARTLET_WEIGHTS_Q6_K)
            decode_6k(from, y);
        else
            decode_4k_5k(type, from, y);
    }
    return 0;
}
