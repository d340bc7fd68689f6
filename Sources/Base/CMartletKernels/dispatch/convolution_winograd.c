// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Winograd F(4x4, 3x3): blocks of 6x6 input tiles become 36 planes, each plane is multiplied by its
// own packed weights, and 36 planes become 4x4 outputs: 2.25 times fewer multiplications.
#include "convolution.h"

enum { PLANES = 36, BLOCK_FLOATS = 192 * 1024, LEAST_TILES = 16, MOST_TILES = 56, SKEW = 16 };

typedef struct {
    int64_t down, across, tiles;     // tiles per image column, per row, and in all
    int64_t block;                   // tiles of a block
    int64_t in_row, out_row;         // floats between a plane's rows
    size_t slot_bytes;
} layout;

static layout layout_of(const martlet_conv2d_f32_shape *s, int32_t threads) {
    layout l;
    l.down = martlet_ceil_div(s->out_height, 4);
    l.across = martlet_ceil_div(s->out_width, 4);
    l.tiles = s->batch * l.down * l.across;
    l.in_row = s->in_channels + SKEW;
    l.out_row = s->out_channels + SKEW;
    int64_t fit = BLOCK_FLOATS / (PLANES * (l.in_row + l.out_row));
    int64_t most = martlet_min(martlet_max(fit, LEAST_TILES), MOST_TILES);
    most = martlet_max(martlet_min(most, martlet_ceil_div(l.tiles, threads)), 1);
    l.block = martlet_ceil_div(l.tiles, martlet_max(martlet_ceil_div(l.tiles, most), 1));
    int64_t floats = PLANES * (l.block * (l.in_row + l.out_row) + 2 * SKEW) +
                     16 * s->out_channels + s->in_channels;
    l.slot_bytes = (size_t)martlet_round_up(floats * (int64_t)sizeof(float), 4096);
    return l;
}

static int64_t panels_of(const martlet_conv2d_f32_shape *s) {
    return martlet_ceil_div(s->out_channels, MARTLET_PANEL);
}

size_t martlet_conv_winograd_packed_bytes(const martlet_conv2d_f32_shape *s) {
    return (size_t)(PLANES * panels_of(s) * MARTLET_PANEL * s->in_channels) * sizeof(float);
}

size_t martlet_conv_winograd_scratch_bytes(const martlet_conv2d_f32_shape *s, int32_t threads) {
    threads = martlet_pool_threads(threads);
    return layout_of(s, threads).slot_bytes * (size_t)threads;
}

// Six values from the three of a kernel's row or column.
static void transform_weights(const float *g, int64_t step, float *out, int64_t out_step) {
    float even = g[0] + g[2 * step], wide = g[0] + 4 * g[2 * step];
    out[0] = g[0] * 0.25f;
    out[out_step] = (even + g[step]) * (-1.0f / 6);
    out[2 * out_step] = (even - g[step]) * (-1.0f / 6);
    out[3 * out_step] = (wide + 2 * g[step]) * (1.0f / 24);
    out[4 * out_step] = (wide - 2 * g[step]) * (1.0f / 24);
    out[5 * out_step] = g[2 * step];
}

typedef struct {
    const martlet_conv2d_f32_shape *s;
    const float *weights;
    float *packed;
} pack_job;

// [plane][panel][channel][32]; a part is a share of the panels.
static void pack_part(void *context, int32_t part, int32_t parts) {
    const pack_job *j = context;
    int64_t channels = j->s->in_channels, panels = panels_of(j->s), from, to;
    martlet_share(panels, part, parts, &from, &to);
    for (int64_t q = from; q < to; q++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t n = 0; n < MARTLET_PANEL; n++) {
                int64_t o = q * MARTLET_PANEL + n;
                float *out = j->packed + (q * channels + c) * MARTLET_PANEL + n;
                float g[9] = {0}, half[18], full[PLANES];
                if (o < j->s->out_channels)
                    memcpy(g, j->weights + (o * channels + c) * 9, sizeof g);
                for (int x = 0; x < 3; x++) transform_weights(g + x, 3, half + x, 3);
                for (int y = 0; y < 6; y++) transform_weights(half + 3 * y, 1, full + 6 * y, 1);
                for (int p = 0; p < PLANES; p++)
                    out[p * panels * channels * MARTLET_PANEL] = full[p];
            }
}

void martlet_conv_winograd_pack(
    const martlet_conv2d_f32_shape *s, const float *weights, float *packed) {
    pack_job j = {s, weights, packed};
    int64_t effort = s->in_channels * s->out_channels * PLANES;
    martlet_parallel_for(martlet_parts(effort, panels_of(s), 0), 0, pack_part, &j);
}

typedef struct {
    const martlet_conv *conv;
    layout l;
} job;

static void load_tile(
    const job *j, int64_t tile, const float *zeros, float *planes, int64_t plane_stride) {
    const martlet_conv2d_f32_shape *s = j->conv->s;
    int64_t x0 = tile % j->l.across * 4 - s->pad_left, rest = tile / j->l.across;
    int64_t y0 = rest % j->l.down * 4 - s->pad_top, n = rest / j->l.down;
    const float *pixels[PLANES];
    for (int64_t y = 0; y < 6; y++)
        for (int64_t x = 0; x < 6; x++) {
            int64_t iy = y0 + y, ix = x0 + x;
            int inside = iy >= 0 && iy < s->in_height && ix >= 0 && ix < s->in_width;
            pixels[y * 6 + x] =
                inside ? j->conv->x +
                             ((n * s->in_height + iy) * s->in_width + ix) * s->in_pixel_stride
                       : zeros;
        }
    martlet_table()->winograd_input(pixels, planes, plane_stride, s->in_channels);
}

static void store_tile(
    const job *j, int64_t tile, const float *planes, int64_t plane_stride, float *out) {
    const martlet_conv2d_f32_shape *s = j->conv->s;
    const martlet_epilogue_f32 *e = j->conv->epilogue;
    const martlet_kernel_table *table = martlet_table();
    int64_t x0 = tile % j->l.across * 4, rest = tile / j->l.across;
    int64_t y0 = rest % j->l.down * 4, n = rest / j->l.down;
    table->winograd_output(planes, plane_stride, out, s->out_channels);
    for (int64_t y = 0; y < martlet_min(4, s->out_height - y0); y++)
        for (int64_t x = 0; x < martlet_min(4, s->out_width - x0); x++) {
            int64_t pixel = (n * s->out_height + y0 + y) * s->out_width + x0 + x;
            table->finish(
                out + (y * 4 + x) * s->out_channels, e->bias,
                e->residual ? e->residual + pixel * e->residual_stride : NULL,
                j->conv->y + pixel * s->out_pixel_stride, s->out_channels, e->activation,
                e->minimum, e->maximum);
        }
}

static void multiply_planes(
    const job *j, int64_t count, const float *in, int64_t in_plane, float *out,
    int64_t out_plane) {
    const martlet_conv2d_f32_shape *s = j->conv->s;
    const martlet_kernel_table *table = martlet_table();
    int64_t panels = panels_of(s);
    martlet_tile_f32 t = {
        .a_row_stride = j->l.in_row, .k = s->in_channels, .taps = 1, .c_row_stride = j->l.out_row,
        .alpha = 1};
    for (int64_t p = 0; p < PLANES; p++)
        for (int64_t q = 0; q < panels; q++) {
            t.b = j->conv->packed + (p * panels + q) * s->in_channels * MARTLET_PANEL;
            t.columns = (int32_t)martlet_min(MARTLET_PANEL, s->out_channels - q * MARTLET_PANEL);
            for (int64_t m = 0; m < count;) {
                int64_t rows = martlet_tile_step(count - m, table->tile_rows);
                t.a = in + p * in_plane + m * j->l.in_row;
                t.c = out + p * out_plane + m * j->l.out_row + q * MARTLET_PANEL;
                table->tiles[rows](&t);
                m += rows;
            }
        }
}

static void winograd_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const job *j = context;
    const martlet_conv2d_f32_shape *s = j->conv->s;
    const layout *l = &j->l;
    int64_t from = part * l->block, count = martlet_min(l->block, l->tiles - from);
    int64_t in_plane = l->block * l->in_row + SKEW, out_plane = l->block * l->out_row + SKEW;
    float *in =
        (float *)(j->conv->scratch + (size_t)martlet_parallel_slot() * l->slot_bytes);
    float *out = in + PLANES * in_plane, *pixels = out + PLANES * out_plane;
    float *zeros = pixels + 16 * s->out_channels;
    memset(zeros, 0, (size_t)s->in_channels * sizeof(float));
    for (int64_t i = 0; i < count; i++)
        load_tile(j, from + i, zeros, in + i * l->in_row, in_plane);
    multiply_planes(j, count, in, in_plane, out, out_plane);
    for (int64_t i = 0; i < count; i++)
        store_tile(j, from + i, out + i * l->out_row, out_plane, pixels);
}

void martlet_conv_winograd(const martlet_conv *conv) {
    job j = {conv, layout_of(conv->s, conv->planned)};
    martlet_parallel_for(
        (int32_t)martlet_ceil_div(j.l.tiles, j.l.block), conv->threads, winograd_part, &j);
}
