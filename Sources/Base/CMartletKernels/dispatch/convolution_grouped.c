// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Pointwise convolution in groups: a product for each, over the same pixels. Where the input
// stands for its own channel shuffle, a group's channels are a few runs of neighbours, one in
// each group of the layer before: the tile takes them as taps, so that the shuffle moves nothing.
#include "convolution.h"
#include "product.h"

typedef struct {
    int64_t count;
    int64_t offsets[MARTLET_MOST_SHUFFLE], lengths[MARTLET_MOST_SHUFFLE];
} runs;

// Logical channel j * from + g is stored at g * (channels / from) + j.
static runs runs_of(const martlet_conv2d_f32_shape *s, int64_t group) {
    int64_t depth = s->in_channels / s->groups, from = martlet_max(s->in_shuffle, 1);
    int64_t first = group * depth, last = first + depth;
    runs r = {0};
    for (int64_t g = 0; g < from; g++) {
        int64_t j0 = martlet_ceil_div(martlet_max(first - g, 0), from);
        int64_t j1 = martlet_ceil_div(martlet_max(last - g, 0), from);
        if (j1 <= j0) continue;
        r.offsets[r.count] = g * (s->in_channels / from) + j0;
        r.lengths[r.count++] = j1 - j0;
    }
    return r;
}

static int64_t panels_of(const martlet_conv2d_f32_shape *s) {
    return martlet_ceil_div(s->out_channels / s->groups, MARTLET_PANEL);
}

size_t martlet_conv_grouped_packed_bytes(const martlet_conv2d_f32_shape *s) {
    return (size_t)(panels_of(s) * MARTLET_PANEL * s->in_channels) * sizeof(float);
}

void martlet_conv_grouped_pack(
    const martlet_conv2d_f32_shape *s, const float *weights, float *packed) {
    int64_t depth = s->in_channels / s->groups, columns = s->out_channels / s->groups;
    int64_t from = martlet_max(s->in_shuffle, 1), share = s->in_channels / from;
    for (int64_t group = 0; group < s->groups; group++) {
        runs r = runs_of(s, group);
        for (int64_t q = 0; q < columns; q += MARTLET_PANEL) {
            const float *first = weights + (group * columns + q) * depth;
            int64_t size = martlet_min(MARTLET_PANEL, columns - q);
            for (int64_t t = 0; t < r.count; t++)
                for (int64_t i = 0; i < r.lengths[t]; i++, packed += MARTLET_PANEL) {
                    int64_t stored = r.offsets[t] + i;
                    int64_t channel = stored % share * from + stored / share - group * depth;
                    for (int64_t n = 0; n < MARTLET_PANEL; n++)
                        packed[n] = n < size ? first[n * depth + channel] : 0;
                }
        }
    }
}

typedef struct {
    const martlet_conv *conv;
    int64_t pixels, rows, row_blocks;
} job;

static void grouped_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const job *j = context;
    const martlet_conv2d_f32_shape *s = j->conv->s;
    const martlet_epilogue_f32 *e = j->conv->epilogue;
    const martlet_kernel_table *table = martlet_table();
    int64_t depth = s->in_channels / s->groups, columns = s->out_channels / s->groups;
    int64_t group = part / j->row_blocks, m0 = part % j->row_blocks * j->rows;
    int64_t m1 = martlet_min(m0 + j->rows, j->pixels);
    runs r = runs_of(s, group);
    martlet_tile_f32 t = {
        .a_row_stride = s->in_pixel_stride, .taps = r.count, .tap_offsets = r.offsets,
        .tap_lengths = r.lengths, .c_row_stride = s->out_pixel_stride,
        .residual_stride = e->residual_stride, .alpha = 1};
    int after = martlet_tile_clip(e, &t);
    for (int64_t q = 0; q < columns; q += MARTLET_PANEL) {
        int64_t channel = group * columns + q;
        t.b = j->conv->packed + (group * panels_of(s) * MARTLET_PANEL + q) * depth;
        t.columns = (int32_t)martlet_min(MARTLET_PANEL, columns - q);
        t.bias = e->bias ? e->bias + channel : NULL;
        for (int64_t m = m0; m < m1;) {
            int64_t rows = martlet_tile_step(m1 - m, table->tile_rows);
            t.a = j->conv->x + m * s->in_pixel_stride;
            t.c = j->conv->y + m * s->out_pixel_stride + channel;
            t.residual = e->residual ? e->residual + m * e->residual_stride + channel : NULL;
            table->tiles[rows](&t);
            if (after)
                table->activate(e->activation, t.c, rows, t.columns, t.c_row_stride, e->minimum,
                                e->maximum);
            m += rows;
        }
    }
}

void martlet_conv_grouped(const martlet_conv *conv) {
    const martlet_conv2d_f32_shape *s = conv->s;
    job j = {conv, s->batch * s->out_height * s->out_width, MARTLET_BLOCK_ROWS, 1};
    int64_t effort = j.pixels * s->in_channels * s->out_channels / s->groups / 16;
    int64_t wanted = effort < 65536 ? 1 : conv->threads;
    // Parts enough for all threads, their rows whole tiles.
    while (j.rows > 28 && s->groups * martlet_ceil_div(j.pixels, j.rows) % wanted != 0 &&
           s->groups * martlet_ceil_div(j.pixels, j.rows) < 4 * wanted)
        j.rows -= 14;
    j.row_blocks = martlet_ceil_div(j.pixels, j.rows);
    martlet_parallel_for(
        (int32_t)(s->groups * j.row_blocks), wanted == 1 ? 1 : conv->threads, grouped_part, &j);
}
