// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "narrow.h"

size_t martlet_gemm_narrow_pack_b_bytes(martlet_narrow type, int64_t k, int64_t n) {
    martlet_narrow_b b = martlet_narrow_layout(type, k, n, NULL);
    int64_t head = (const char *)b.panels - (const char *)b.scales;
    return (size_t)(head + b.columns * b.groups * (int64_t)sizeof(uint32_t));
}

// Element (p, column) of B; a convolution's weights, [channel][tap] in memory, have p by tap.
MARTLET_INLINE int64_t offset(const martlet_narrow_source *s, int64_t p, int64_t column) {
    int64_t row = s->taps > 1 ? p % s->channels * s->taps + p / s->channels : p;
    return row * s->row_stride + column * s->column_stride;
}

static void pack_panel_bf16(const martlet_narrow_source *s, int64_t n0, uint32_t *to) {
    uint16_t *values = (uint16_t *)to;
    for (int64_t p = 0; p < s->k; p++)
        for (int64_t c = 0; c < martlet_min(MARTLET_PANEL, s->n - n0); c++)
            values[(p / 2 * MARTLET_PANEL + c) * 2 + p % 2] =
                martlet_bf16_of(((const float *)s->b)[offset(s, p, n0 + c)]);
}

static void pack_column_floats(
    const martlet_narrow_source *s, const martlet_narrow_b *layout, int64_t column,
    uint32_t *panel) {
    const float *b = s->b;
    int8_t *values = (int8_t *)panel + column % MARTLET_PANEL * 4;
    float most = 0;
    int spoiled = 0;
    for (int64_t p = 0; p < s->k; p++) {
        float size = fabsf(b[offset(s, p, column)]);
        most = fmaxf(most, size);
        spoiled |= !(size < INFINITY);
    }
    // A weight that is not finite makes the column's answers NaN, as it would in f32.
    float scale = spoiled ? NAN : most / 127, inverse = scale > 0 ? 1 / scale : 0;
    ((float *)layout->scales)[column] = scale;
    for (int64_t chunk = 0; chunk < layout->chunks; chunk++) {
        int64_t from = chunk * MARTLET_NARROW_CHUNK;
        int64_t to = martlet_min(from + MARTLET_NARROW_CHUNK, s->k);
        int32_t sum = 0;
        for (int64_t p = from; p < to; p++) {
            float x = rintf(b[offset(s, p, column)] * inverse);
            int8_t v = (int8_t)(x >= -127 ? x <= 127 ? x : 127 : -127);
            values[p / 4 * MARTLET_PANEL * 4 + p % 4] = v;
            sum += v;
        }
        ((int32_t *)layout->starts)[chunk * layout->columns + column] =
            -MARTLET_NARROW_ZERO * sum;
    }
}

static void pack_column_bytes(
    const martlet_narrow_source *s, const martlet_narrow_b *layout, int64_t column,
    uint32_t *panel) {
    const uint8_t *b = s->b;
    int8_t *values = (int8_t *)panel + column % MARTLET_PANEL * 4;
    int flip = s->is_signed ? 0 : 0x80;
    int32_t zero = s->zeros ? s->zeros[s->zero_stride * column] : 0;
    ((int32_t *)layout->scales)[column] = zero - (s->is_signed ? 0 : 128);
    for (int64_t chunk = 0; chunk < layout->chunks; chunk++) {
        int64_t from = chunk * MARTLET_NARROW_CHUNK;
        int64_t to = martlet_min(from + MARTLET_NARROW_CHUNK, s->k);
        int32_t sum = 0;
        for (int64_t p = from; p < to; p++) {
            int8_t v = (int8_t)(b[offset(s, p, column)] ^ flip);
            values[p / 4 * MARTLET_PANEL * 4 + p % 4] = v;
            sum += v;
        }
        ((int32_t *)layout->starts)[chunk * layout->columns + column] = sum;
    }
}

typedef struct {
    martlet_narrow type;
    const martlet_narrow_source *source;
    void *packed;
} job;

static void pack_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    const martlet_narrow_source *s = j->source;
    martlet_narrow_b layout = martlet_narrow_layout(j->type, s->k, s->n, j->packed);
    int64_t from, to;
    martlet_share(layout.columns / MARTLET_PANEL, part, parts, &from, &to);
    for (int64_t q = from; q < to; q++) {
        int64_t n0 = q * MARTLET_PANEL, n1 = martlet_min(n0 + MARTLET_PANEL, s->n);
        uint32_t *panel = (uint32_t *)layout.panels + n0 * layout.groups;
        memset(panel, 0, (size_t)(layout.groups * MARTLET_PANEL) * sizeof(uint32_t));
        if (j->type == MARTLET_NARROW_BF16) {
            pack_panel_bf16(s, n0, panel);
            continue;
        }
        for (int64_t n = n0; n < n1; n++)
            if (s->is_bytes)
                pack_column_bytes(s, &layout, n, panel);
            else
                pack_column_floats(s, &layout, n, panel);
    }
}

void martlet_narrow_pack(
    martlet_narrow type, const martlet_narrow_source *s, void *packed, int32_t threads) {
    martlet_narrow_b layout = martlet_narrow_layout(type, s->k, s->n, packed);
    memset(packed, 0, (size_t)((const char *)layout.panels - (const char *)packed));
    job j = {type, s, packed};
    martlet_parallel_for(
        martlet_parts(s->k * s->n * 2, layout.columns / MARTLET_PANEL, threads), threads,
        pack_part, &j);
}

void martlet_gemm_narrow_pack_b(
    martlet_narrow type, const float *b, int64_t row_stride, int64_t column_stride, int64_t k,
    int64_t n, void *packed, int32_t threads) {
    martlet_narrow_source source = {
        .b = b, .row_stride = row_stride, .column_stride = column_stride, .k = k, .n = n};
    martlet_narrow_pack(type, &source, packed, threads);
}
