// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "rows.h"

size_t martlet_weights_panel_bytes(martlet_weights panels, int64_t m, int64_t k) {
    if (m <= 0 || k <= 0 || k % martlet_weights_block(panels)) return 0;
    return (size_t)(
        martlet_ceil_div(m, MARTLET_ROWS_PANEL) *
        martlet_panel_bytes(panels, martlet_row_groups(k)));
}

typedef struct {
    martlet_weights type, panels;
    const uint8_t *rows;
    int64_t row_bytes, m, k, groups;
    uint8_t *packed;
} job;

// One row's group of 32: unsigned values, and what its scales are made of.
typedef struct {
    uint8_t q[32];
    uint16_t d, least;       // f16
    uint8_t scale, minimum;  // of K types: scale and minimum, or the two halves' scales
} group;

static uint16_t half_bits(const uint8_t *x) { return (uint16_t)(x[0] | x[1] << 8); }

typedef uint8_t bytes16 __attribute__((ext_vector_type(16)));

static bytes16 load16(const uint8_t *x) {
    bytes16 y;
    memcpy(&y, x, 16);
    return y;
}

static void store32(uint8_t *q, bytes16 low, bytes16 high) {
    memcpy(q, &low, 16);
    memcpy(q + 16, &high, 16);
}

static void read_32(martlet_weights type, const uint8_t *x, group *g) {
    int has_least = type == MARTLET_WEIGHTS_Q4_1 || type == MARTLET_WEIGHTS_Q5_1;
    int has_fifth = type == MARTLET_WEIGHTS_Q5_0 || type == MARTLET_WEIGHTS_Q5_1;
    g->d = half_bits(x);
    g->least = has_least ? half_bits(x + 2) : 0;
    const uint8_t *q = x + (has_least ? 4 : 2);
    if (type == MARTLET_WEIGHTS_Q8_0) {
        store32(g->q, load16(q) ^ 0x80, load16(q + 16) ^ 0x80);
        return;
    }
    uint32_t fifth = 0;
    if (has_fifth) {
        memcpy(&fifth, q, 4);
        q += 4;
    }
    bytes16 both = load16(q);
    store32(g->q, both & 15, both >> 4);
    for (int i = 0; has_fifth && i < 32; i++) g->q[i] |= (uint8_t)((fifth >> i & 1) << 4);
}

static void read_six(const uint8_t *x, int i, group *g) {
    const uint8_t *low = x + i / 4 * 64 + i % 2 * 32, *high = x + 128 + i / 4 * 32;
    bytes16 parts[2];
    for (int h = 0; h < 2; h++) {
        bytes16 nibbles = load16(low + 16 * h);
        bytes16 bits = load16(high + 16 * h) >> (uint8_t)(2 * (i % 4)) & 3;
        parts[h] = (i % 4 < 2 ? nibbles & 15 : nibbles >> 4) | bits << 4;
    }
    store32(g->q, parts[0], parts[1]);
    g->scale = x[192 + 2 * i];
    g->minimum = x[193 + 2 * i];
    g->d = half_bits(x + 208);
}

static void read_k(martlet_weights type, const uint8_t *x, int i, group *g) {
    if (type == MARTLET_WEIGHTS_Q6_K) {
        read_six(x, i, g);
        return;
    }
    g->d = half_bits(x);
    g->least = half_bits(x + 2);
    const uint8_t *s = x + 4;
    g->scale = i < 4 ? s[i] & 63 : (uint8_t)((s[i + 4] & 15) | (s[i - 4] >> 6) << 4);
    g->minimum = i < 4 ? s[i + 4] & 63 : (uint8_t)(s[i + 4] >> 4 | (s[i] >> 6) << 4);
    int is_five = type == MARTLET_WEIGHTS_Q5_K;
    const uint8_t *q = x + (is_five ? 48 : 16) + i / 2 * 32;
    bytes16 parts[2];
    for (int h = 0; h < 2; h++) {
        bytes16 both = load16(q + 16 * h);
        parts[h] = i % 2 ? both >> 4 : both & 15;
        if (is_five) parts[h] |= (load16(x + 16 + 16 * h) >> (uint8_t)i & 1) << 4;
    }
    store32(g->q, parts[0], parts[1]);
}

// Floats rounded to 8 bits with an f16 scale, as Q8_0 has them.
static void round_32(const float *x, group *g) {
    float most = 0;
    for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[i]));
    g->d = martlet_f16_of(most / 127);
    float scale = martlet_of_f16(g->d), inverse = scale > 0 ? 1 / scale : 0;
    for (int i = 0; i < 32; i++) {
        float value = rintf(x[i] * inverse);
        value = value >= -127 ? value <= 127 ? value : 127 : -127;
        g->q[i] = (uint8_t)((int8_t)value) ^ 0x80;
    }
}

// Word i of a row to its lane of vector i.
static void put_words(const uint8_t *from, int count, int row, uint8_t *to) {
    for (int i = 0; i < count; i++) memcpy(to + i * 64 + row * 4, from + i * 4, 4);
}

typedef uint32_t quads4 __attribute__((ext_vector_type(4)));

// The same of four rows at once: `count` words of each, four by four turned round.
static void put_words_of_four(
    const uint8_t *const from[4], int count, int row, uint8_t *to) {
    for (int i = 0; i < count; i += 4) {
        quads4 x[4];
        for (int r = 0; r < 4; r++) memcpy(x + r, from[r] + i * 4, 16);
        quads4 a = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5);
        quads4 b = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
        quads4 c = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
        quads4 d = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
        x[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
        x[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
        x[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
        x[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
        for (int r = 0; r < 4; r++) memcpy(to + (i + r) * 64 + row * 4, x + r, 16);
    }
}

static void put_values(martlet_weights type, const group *g, int row, uint8_t *to) {
    if (type == MARTLET_WEIGHTS_Q8_0) {
        put_words(g->q, 8, row, to);
        return;
    }
    uint8_t low[16], above[32];
    bytes16 first = load16(g->q), second = load16(g->q + 16), both = (first & 15) | second << 4;
    memcpy(low, &both, 16);
    put_words(low, 4, row, to);
    int64_t bytes = martlet_panel_value_bytes(type);
    if (bytes == 256) return;
    store32(above, first >> 4, second >> 4);
    uint32_t high[2] = {0};
    for (int i = 0; i < 8; i++) {
        uint32_t quad;
        memcpy(&quad, above + 4 * i, 4);
        high[bytes == 384 ? i / 4 : 0] |= quad << (bytes == 384 ? i % 4 * 2 : i);
    }
    memcpy(to + 256 + row * 4, high, 4);
    if (bytes == 384) memcpy(to + 320 + row * 4, high + 1, 4);
}

static void put_scales(martlet_weights type, const group *g, int64_t at, int row, uint8_t *to) {
    if (type <= MARTLET_WEIGHTS_Q8_0) {
        int has_least = type == MARTLET_WEIGHTS_Q4_1 || type == MARTLET_WEIGHTS_Q5_1;
        uint16_t *halves = (uint16_t *)(to + at % 2 * (has_least ? 64 : 32));
        halves[row] = g->d;
        if (has_least) halves[16 + row] = g->least;
        return;
    }
    int is_six = type == MARTLET_WEIGHTS_Q6_K;
    uint16_t *halves = (uint16_t *)to;
    halves[row] = g->d;
    if (!is_six) halves[16 + row] = g->least;
    to += (is_six ? 32 : 64) + at % 8 * 32;
    to[row] = g->scale;
    to[16 + row] = g->minimum;
}

// A whole panel of types whose values lie in the file as panels have them, but for a sign.
static void pack_simple(const job *j, int64_t panel, uint8_t *to) {
    int64_t bytes = martlet_weights_block_bytes(j->type), count = bytes - 2;
    const uint8_t *x = j->rows + panel * MARTLET_ROWS_PANEL * j->row_bytes;
    for (int64_t at = 0; at < j->groups; at++, x += bytes) {
        uint8_t *values = to + martlet_panel_values_at(j->panels, at);
        uint8_t *scales = to + martlet_panel_scales_at(j->panels, at) + at % 2 * 32;
        for (int row = 0; row < 16; row += 4) {
            const uint8_t *from[4];
            uint16_t d[4];
            for (int r = 0; r < 4; r++) {
                from[r] = x + (row + r) * j->row_bytes + 2;
                d[r] = half_bits(from[r] - 2);
            }
            put_words_of_four(from, (int)count / 4, row, values);
            memcpy(scales + row * 2, d, 8);
        }
        if (j->type == MARTLET_WEIGHTS_Q8_0)
            for (int i = 0; i < 512; i += 16) {
                bytes16 y = load16(values + i) ^ 0x80;
                memcpy(values + i, &y, 16);
            }
    }
}

static void pack_quantised(const job *j, int64_t panel, uint8_t *to) {
    int is_simple = j->type == MARTLET_WEIGHTS_Q4_0 || j->type == MARTLET_WEIGHTS_Q8_0;
    if (is_simple && (panel + 1) * MARTLET_ROWS_PANEL <= j->m) {
        pack_simple(j, panel, to);
        return;
    }
    int64_t bytes = martlet_weights_block_bytes(j->type);
    int64_t row0 = panel * MARTLET_ROWS_PANEL;
    for (int64_t at = 0; at < j->groups; at++) {
        for (int row = 0; row < martlet_min(16, j->m - row0); row++) {
            const uint8_t *x = j->rows + (row0 + row) * j->row_bytes;
            group g;
            if (j->type == MARTLET_WEIGHTS_Q4_0) {
                // Its nibbles are paired as panels pair them.
                x += at * bytes;
                g.d = half_bits(x);
                put_words(x + 2, 4, row, to + martlet_panel_values_at(j->panels, at));
                put_scales(j->panels, &g, at, row, to + martlet_panel_scales_at(j->panels, at));
                continue;
            }
            if (j->type <= MARTLET_WEIGHTS_BF16) {
                float values[32] = {0};
                int64_t count = martlet_min(32, j->k - at * 32);
                martlet_weights_decode(j->type, x + at * 32 * bytes, values, count);
                round_32(values, &g);
            } else if (j->type <= MARTLET_WEIGHTS_Q8_0) {
                read_32(j->type, x + at * bytes, &g);
            } else {
                read_k(j->type, x + at / 8 * bytes, (int)(at % 8), &g);
            }
            put_values(j->panels, &g, row, to + martlet_panel_values_at(j->panels, at));
            put_scales(j->panels, &g, at, row, to + martlet_panel_scales_at(j->panels, at));
        }
    }
}

// Plain panels: F32 and F16 [input][16], BF16 [input / 2][16][2].
static void pack_plain(const job *j, int64_t panel, uint8_t *to) {
    int64_t row0 = panel * MARTLET_ROWS_PANEL, block = martlet_weights_block(j->type);
    int64_t bytes = martlet_weights_block_bytes(j->type);
    if (j->panels == MARTLET_WEIGHTS_BF16 && row0 + 16 <= j->m && j->k % 8 == 0) {
        for (int64_t k = 0; k < j->k; k += 32)
            for (int row = 0; row < 16; row += 4) {
                const uint8_t *x = j->rows + (row0 + row) * j->row_bytes + 2 * k;
                const uint8_t *from[4] = {
                    x, x + j->row_bytes, x + 2 * j->row_bytes, x + 3 * j->row_bytes};
                put_words_of_four(from, (int)martlet_min(32, j->k - k) / 2, row, to + k * 32);
            }
        return;
    }
    for (int row = 0; row < martlet_min(16, j->m - row0); row++) {
        const uint8_t *x = j->rows + (row0 + row) * j->row_bytes;
        for (int64_t k0 = 0; k0 < j->k; k0 += 256) {
            int64_t count = martlet_min(256, j->k - k0);
            if (j->panels == MARTLET_WEIGHTS_F32) {
                float values[256];
                martlet_weights_decode(j->type, x + k0 / block * bytes, values, count);
                for (int64_t i = 0; i < count; i++) ((float *)to)[(k0 + i) * 16 + row] = values[i];
                continue;
            }
            if (j->panels == MARTLET_WEIGHTS_F16) {
                for (int64_t i = k0; i < k0 + count; i++)
                    ((uint16_t *)to)[i * 16 + row] = half_bits(x + 2 * i);
                continue;
            }
            put_words(x + 2 * k0, (int)(count / 2), row, to + k0 * 32);
            if (count % 2)
                memcpy(to + (k0 + count - 1) * 32 + row * 4, x + 2 * (k0 + count - 1), 2);
        }
    }
}

static void pack_part(void *context, int32_t part, int32_t parts) {
    const job *j = context;
    int64_t from, to, bytes = martlet_panel_bytes(j->panels, j->groups);
    martlet_share(martlet_ceil_div(j->m, MARTLET_ROWS_PANEL), part, parts, &from, &to);
    for (int64_t panel = from; panel < to; panel++) {
        uint8_t *target = j->packed + panel * bytes;
        // What whole panels of most types leave open lies in the last cluster.
        int64_t last = martlet_panel_cluster_bytes(j->panels);
        int filled = j->panels <= MARTLET_WEIGHTS_Q8_0 && (panel + 1) * MARTLET_ROWS_PANEL <= j->m;
        if (filled) memset(target + bytes - last, 0, (size_t)last);
        else memset(target, 0, (size_t)bytes);
        if (j->panels <= MARTLET_WEIGHTS_BF16)
            pack_plain(j, panel, target);
        else
            pack_quantised(j, panel, target);
    }
}

int32_t martlet_weights_pack(
    martlet_weights type, const void *rows, int64_t row_bytes, int64_t m, int64_t k,
    martlet_weights panels, void *packed, int32_t threads) {
    int plain = type <= MARTLET_WEIGHTS_BF16;
    if (panels != type && panels != MARTLET_WEIGHTS_F32 &&
        !(plain && panels == MARTLET_WEIGHTS_Q8_0))
        return -1;
    if (m <= 0 || k <= 0) return 0;
    if (k % martlet_weights_block(type) || k % martlet_weights_block(panels)) return -1;
    job j = {.type = type, .panels = panels, .rows = rows, .row_bytes = row_bytes, .m = m, .k = k,
             .groups = martlet_row_groups(k), .packed = packed};
    int64_t count = martlet_ceil_div(m, MARTLET_ROWS_PANEL);
    martlet_parallel_for(martlet_parts(m * k, count, threads), threads, pack_part, &j);
    return 0;
}
