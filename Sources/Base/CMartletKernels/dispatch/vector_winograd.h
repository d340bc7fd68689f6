// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Winograd's F(4x4, 3x3) transforms (Lavin and Gray 2015), points 0, 1, -1, 2, -2 and infinity.
// Included once per level, after vector_kernels.h.

// One dimension of the input's transform: six values to six.
#define INPUT_PASS(T, D, STEP)                                                                 \
    {                                                                                          \
        NAME(lanes) d0 = D[0], d1 = D[STEP], d2 = D[2 * STEP], d3 = D[3 * STEP],               \
                    d4 = D[4 * STEP], d5 = D[5 * STEP];                                        \
        NAME(lanes) even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1;                               \
        NAME(lanes) even2 = d4 - d2, odd2 = 2.0f * (d3 - d1);                                  \
        T[0] = 4.0f * d0 - 5.0f * d2 + d4;                                                     \
        T[1] = even + odd;                                                                     \
        T[2] = even - odd;                                                                     \
        T[3] = even2 + odd2;                                                                   \
        T[4] = even2 - odd2;                                                                   \
        T[5] = 4.0f * d1 - 5.0f * d3 + d5;                                                     \
    }

TARGET static void NAME(winograd_input)(
    const float *const *pixels, float *planes, int64_t plane_stride, int64_t count) {
    for (int64_t c = 0; c < count; c += LANES) {
        NAME(lanes) d[36], t[36];
        for (int i = 0; i < 36; i++) d[i] = *(const NAME(lanes) *)(pixels[i] + c);
#pragma clang loop unroll(full)
        for (int x = 0; x < 6; x++) {
            NAME(lanes) out[6];
            INPUT_PASS(out, (d + x), 6)
#pragma clang loop unroll(full)
            for (int y = 0; y < 6; y++) t[y * 6 + x] = out[y];
        }
#pragma clang loop unroll(full)
        for (int y = 0; y < 6; y++) {
            NAME(lanes) out[6];
            INPUT_PASS(out, (t + y * 6), 1)
#pragma clang loop unroll(full)
            for (int x = 0; x < 6; x++)
                *(NAME(lanes) *)(planes + (y * 6 + x) * plane_stride + c) = out[x];
        }
    }
}

// One dimension of the output's transform: six values to four.
#define OUTPUT_PASS(T, D, STEP)                                                                \
    {                                                                                          \
        NAME(lanes) a = D[STEP] + D[2 * STEP], b = D[STEP] - D[2 * STEP];                      \
        NAME(lanes) c = D[3 * STEP] + D[4 * STEP], e = D[3 * STEP] - D[4 * STEP];              \
        T[0] = D[0] + a + c;                                                                   \
        T[1] = b + 2.0f * e;                                                                   \
        T[2] = a + 4.0f * c;                                                                   \
        T[3] = b + 8.0f * e + D[5 * STEP];                                                     \
    }

TARGET static void NAME(winograd_output)(
    const float *planes, int64_t plane_stride, float *out, int64_t count) {
    for (int64_t ch = 0; ch < count; ch += LANES) {
        NAME(lanes) d[36], t[24];
        for (int i = 0; i < 36; i++)
            d[i] = *(const NAME(lanes) *)(planes + i * plane_stride + ch);
#pragma clang loop unroll(full)
        for (int x = 0; x < 6; x++) {
            NAME(lanes) o[4];
            OUTPUT_PASS(o, (d + x), 6)
#pragma clang loop unroll(full)
            for (int y = 0; y < 4; y++) t[y * 6 + x] = o[y];
        }
#pragma clang loop unroll(full)
        for (int y = 0; y < 4; y++) {
            NAME(lanes) o[4];
            OUTPUT_PASS(o, (t + y * 6), 1)
#pragma clang loop unroll(full)
            for (int x = 0; x < 4; x++)
                *(NAME(lanes) *)(out + (y * 4 + x) * count + ch) = o[x];
        }
    }
}
// One dimension of the weights' transform: three values to six.
#define WEIGHT_PASS(T, STEP, G0, G1, G2)                                                       \
    {                                                                                          \
        NAME(lanes) even = G0 + G2, wide = G0 + 4.0f * G2;                                     \
        (T)[0] = G0 * 0.25f;                                                                   \
        (T)[STEP] = (even + G1) * (-1.0f / 6);                                                 \
        (T)[2 * STEP] = (even - G1) * (-1.0f / 6);                                             \
        (T)[3 * STEP] = (wide + 2.0f * G1) * (1.0f / 24);                                      \
        (T)[4 * STEP] = (wide - 2.0f * G1) * (1.0f / 24);                                      \
        (T)[5 * STEP] = G2;                                                                    \
    }

TARGET static void NAME(winograd_weights)(
    const float *weights, float *planes, int64_t plane_stride, int64_t channels) {
    for (int64_t i = 0; i < channels; i++)
        for (int64_t n = 0; n < MARTLET_PANEL; n += LANES) {
            NAME(lanes) g[9], half[18], full[6];
            for (int t = 0; t < 9; t++)
                g[t] = *(const NAME(lanes) *)(weights + (i * 9 + t) * MARTLET_PANEL + n);
#pragma clang loop unroll(full)
            for (int x = 0; x < 3; x++) WEIGHT_PASS(half + x, 3, g[x], g[3 + x], g[6 + x])
#pragma clang loop unroll(full)
            for (int y = 0; y < 6; y++) {
                WEIGHT_PASS(full, 1, half[3 * y], half[3 * y + 1], half[3 * y + 2])
#pragma clang loop unroll(full)
                for (int x = 0; x < 6; x++)
                    *(NAME(lanes) *)(planes + (y * 6 + x) * plane_stride + i * MARTLET_PANEL +
                                     n) = full[x];
            }
        }
}
#undef WEIGHT_PASS
#undef INPUT_PASS
#undef OUTPUT_PASS
