// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include <float.h>
#include <stdatomic.h>

#include "table.h"

// --- Rows

typedef struct {
    martlet_weights type;
    const uint8_t *table;
    int64_t row_bytes, k, n;
    const int32_t *tokens;
    float scale;
    float *y;
} embedding;

static void embed_part(void *context, int32_t part, int32_t parts) {
    const embedding *e = context;
    int64_t from, to;
    martlet_share(e->n, part, parts, &from, &to);
    for (int64_t i = from; i < to; i++) {
        float *y = e->y + i * e->k;
        martlet_weights_decode(e->type, e->table + e->tokens[i] * e->row_bytes, y, e->k);
        if (e->scale != 1)
            for (int64_t d = 0; d < e->k; d++) y[d] *= e->scale;
    }
}

int32_t martlet_embed(
    martlet_weights type, const void *table, int64_t row_bytes, int64_t table_rows, int64_t k,
    const int32_t *tokens, int64_t n, float scale, float *y, int32_t threads) {
    for (int64_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= table_rows) return -1;
    embedding e = {.type = type, .table = table, .row_bytes = row_bytes, .k = k, .n = n,
                   .tokens = tokens, .scale = scale, .y = y};
    martlet_parallel_for(martlet_parts(n * k, n, threads), threads, embed_part, &e);
    return 0;
}

void martlet_norm_rows(
    const float *x, const float *weight, const float *residual, float *y, int64_t n, int64_t k,
    float epsilon, int32_t threads) {
    (void)threads;
    const martlet_kernel_table *table = martlet_table();
    float room[4096];
    for (int64_t i = 0; i < n; i++) {
        const float *row = x + i * k;
        float square = table->dot(row, row, k) / (float)k + epsilon, factor = 1 / sqrtf(square);
        for (int64_t d = 0; d < k; d += 4096) {
            int64_t count = martlet_min(4096, k - d);
            for (int64_t c = 0; c < count; c++) room[c] = row[d + c] * factor * weight[d + c];
            const float *add = residual ? residual + i * k + d : NULL;
            for (int64_t c = 0; c < count; c++)
                y[i * k + d + c] = add ? add[c] + room[c] : room[c];
        }
    }
}

int32_t martlet_take_rows(
    const float *x, int64_t count, const int32_t *rows, int64_t n, int64_t k, float *y) {
    for (int64_t i = 0; i < n; i++)
        if (rows[i] < 0 || rows[i] >= count) return -1;
    for (int64_t i = 0; i < n; i++)
        memcpy(y + i * k, x + rows[i] * k, (size_t)k * sizeof(float));
    return 0;
}

// --- Positions

void martlet_rotary_angles(
    const int32_t *positions, int64_t n, const float *frequencies, int64_t half, float factor,
    float *angles) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < half; d++) {
            float angle = (float)positions[i] * frequencies[d];
            angles[i * 2 * half + d] = cosf(angle) * factor;
            angles[i * 2 * half + half + d] = sinf(angle) * factor;
        }
}

typedef struct {
    const martlet_rotary_args *args;
    _Atomic int32_t status;
} rotary;

static void norm_head(const float *x, const float *weight, float epsilon, int64_t size, float *y) {
    double sum = 0;
    for (int64_t d = 0; d < size; d++) sum += (double)x[d] * x[d];
    float factor = 1 / sqrtf((float)(sum / (double)size) + epsilon);
    for (int64_t d = 0; d < size; d++) y[d] = x[d] * factor * weight[d];
}

// One head, normed and turned, from x to y.
static void turn(
    const martlet_rotary_args *a, const float *x, const float *weight, const float *angles,
    float *y) {
    int64_t size = a->cache.head_size, half = a->rotary / 2;
    float room[MARTLET_HEAD_SIZE_MAX];
    if (weight) {
        norm_head(x, weight, a->epsilon, size, room);
        x = room;
    }
    const float *cosines = angles, *sines = angles + half;
    if (a->interleaved) {
        for (int64_t d = 0; d < half; d++) {
            float real = x[2 * d], other = x[2 * d + 1];
            y[2 * d] = real * cosines[d] - other * sines[d];
            y[2 * d + 1] = other * cosines[d] + real * sines[d];
        }
    } else {
        for (int64_t d = 0; d < half; d++) {
            float real = x[d], other = x[half + d];
            y[d] = real * cosines[d] - other * sines[d];
            y[half + d] = other * cosines[d] + real * sines[d];
        }
    }
    for (int64_t d = a->rotary; d < size; d++) y[d] = x[d];
}

// A head's values rounded to 8 bits; gives their scale. What is not finite makes the scale NaN.
static float narrow(const float *x, int64_t size, int8_t *y) {
    float most = 0, check = 0;
    for (int64_t d = 0; d < size; d++) {
        most = fabsf(x[d]) > most ? fabsf(x[d]) : most;
        check += x[d] * 0;
    }
    if (check != 0) {
        memset(y, 0, (size_t)size);
        return NAN;
    }
    float inverse = most > FLT_MIN * 127 ? 127 / most : 0;
    for (int64_t d = 0; d < size; d++) {
        // The sum rounds to an integer in its low bits.
        float sum = x[d] * inverse + 12582912.0f;
        int32_t bits;
        memcpy(&bits, &sum, 4);
        y[d] = (int8_t)(bits - 0x4B400000);
    }
    return most > FLT_MIN * 127 ? most / 127 : 0;
}

// Where a slot's head begins in the cache, in values, and its scale of 8-bit values.
static int64_t head_at(const martlet_cache *c, int64_t slot, int64_t head) {
    int64_t block = martlet_cache_block_bytes(c->type, c->kv_heads, c->head_size) /
                    martlet_dtype_bytes(c->type);
    return slot / 16 * block + head * c->head_size * 16;
}
static void put_scale(const martlet_cache *c, void *base, int64_t slot, int64_t head, float scale) {
    int64_t block = martlet_cache_block_bytes(c->type, c->kv_heads, c->head_size);
    char *scales = (char *)base + slot / 16 * block + c->kv_heads * c->head_size * 16;
    memcpy(scales + (head * 16 + slot % 16) * 4, &scale, 4);
}

// A head's key goes down a column of its block, a value along a row.
static void put_key(const martlet_cache *c, const float *x, int64_t slot, int64_t head) {
    int64_t size = c->head_size, base = head_at(c, slot, head) + slot % 16;
    if (c->type == MARTLET_F32) {
        for (int64_t d = 0; d < size; d++) ((float *)c->keys)[base + d * 16] = x[d];
        return;
    }
    if (c->type == MARTLET_I8) {
        int8_t room[MARTLET_HEAD_SIZE_MAX];
        put_scale(c, c->keys, slot, head, narrow(x, size, room));
        for (int64_t d = 0; d < size; d++) ((int8_t *)c->keys)[base + d * 16] = room[d];
        return;
    }
    uint16_t room[MARTLET_HEAD_SIZE_MAX];
    if (c->type == MARTLET_F16)
        martlet_table()->f32_to_f16(x, room, size);
    else
        martlet_table()->f32_to_bf16(x, room, size);
    for (int64_t d = 0; d < size; d++) ((uint16_t *)c->keys)[base + d * 16] = room[d];
}

static void put_value(const martlet_cache *c, const float *x, int64_t slot, int64_t head) {
    int64_t base = head_at(c, slot, head) + slot % 16 * c->head_size;
    if (c->type == MARTLET_F32)
        memcpy((float *)c->values + base, x, (size_t)c->head_size * sizeof(float));
    else if (c->type == MARTLET_I8)
        put_scale(c, c->values, slot, head, narrow(x, c->head_size, (int8_t *)c->values + base));
    else if (c->type == MARTLET_F16)
        martlet_table()->f32_to_f16(x, (uint16_t *)c->values + base, c->head_size);
    else
        martlet_table()->f32_to_bf16(x, (uint16_t *)c->values + base, c->head_size);
}

static void turn_part(void *context, int32_t part, int32_t parts) {
    rotary *r = context;
    const martlet_rotary_args *a = r->args;
    int64_t from, to, size = a->cache.head_size;
    martlet_share(a->n, part, parts, &from, &to);
    for (int64_t i = from; i < to; i++) {
        int64_t slot = a->slots[i];
        if (slot < 0 || slot >= a->cache.blocks * MARTLET_CACHE_BLOCK) {
            atomic_store_explicit(&r->status, -1, memory_order_relaxed);
            continue;
        }
        const float *angles = a->angles + i * a->rotary;
        float room[MARTLET_HEAD_SIZE_MAX];
        for (int64_t h = 0; h < a->heads; h++)
            turn(a, a->q + i * a->q_stride + h * size, a->q_norm, angles,
                 a->turned + (i * a->heads + h) * size);
        for (int64_t h = 0; h < a->cache.kv_heads; h++) {
            turn(a, a->k + i * a->k_stride + h * size, a->k_norm, angles, room);
            put_key(&a->cache, room, slot, h);
            put_value(&a->cache, a->v + i * a->v_stride + h * size, slot, h);
        }
    }
}

int32_t martlet_rotary_cache(const martlet_rotary_args *a, int32_t threads) {
    const martlet_cache *c = &a->cache;
    if (c->head_size <= 0 || c->head_size > MARTLET_HEAD_SIZE_MAX || a->rotary < 0 ||
        a->rotary % 2 || a->rotary > c->head_size ||
        !martlet_cache_block_bytes(c->type, c->kv_heads, c->head_size))
        return -1;
    rotary r = {.args = a};
    int64_t effort = a->n * (a->heads + 2 * c->kv_heads) * c->head_size * 2;
    martlet_parallel_for(martlet_parts(effort, a->n, threads), threads, turn_part, &r);
    return atomic_load_explicit(&r.status, memory_order_relaxed);
}
