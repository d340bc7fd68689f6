// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Winograd F(4x4, 3x3): blocks of 6x6 input tiles become 36 planes, each plane is multiplied by its
// own packed weights, and 36 planes become 4x4 outputs: 2.25 times fewer multiplications. The
// weights' planes are four times the weights. The late form keeps the weights and transforms
// them, a panel at a time, as they are used: a quarter slower on few tiles, for a quarter of the
// memory.
#include "convolution.h"
#include "product.h"

enum { PLANES = 36, BLOCK_FLOATS = 192 * 1024, LEAST_TILES = 16, MOST_TILES = 56, SKEW = 16 };
enum { TAPS = 9, CHUNK = 128 };

typedef struct {
    int64_t down, across, tiles;     // tiles per image column, per row, and in all
    int64_t block;                   // tiles of a block
    int64_t in_row, out_row;         // floats between a plane's rows
    int64_t weight_plane;            // floats between the planes of weights transformed late, or 0
    size_t slot_bytes;
} layout;

static layout layout_of(const martlet_conv2d_f32_shape *s, int32_t late, int32_t threads) {
    layout l;
    l.down = martlet_ceil_div(s->out_height, 4);
    l.across = martlet_ceil_div(s->out_width, 4);
    l.tiles = s->batch * l.down * l.across;
    l.in_row = s->in_channels + SKEW;
    l.out_row = s->out_channels + SKEW;
    int64_t chunk = martlet_min(s->in_channels, CHUNK);
    l.weight_plane = late ? chunk * MARTLET_PANEL + SKEW : 0;
    int64_t fit = BLOCK_FLOATS / (PLANES * (l.in_row + l.out_row));
    int64_t most = martlet_min(martlet_max(fit, LEAST_TILES), MOST_TILES);
    most = martlet_max(martlet_min(most, martlet_ceil_div(l.tiles, threads)), 1);
    int64_t blocks = martlet_max(martlet_ceil_div(l.tiles, most), 1);
    // Three blocks on two threads would take as long as four; small blocks read weights too often.
    int64_t even = martlet_round_up(blocks, threads);
    if (blocks > 1 && l.tiles >= even * 8) blocks = even;
    l.block = martlet_ceil_div(l.tiles, blocks);
    int64_t floats = PLANES * (l.block * (l.in_row + l.out_row) + 2 * SKEW + l.weight_plane) +
                     16 * s->out_channels + s->in_channels;
    l.slot_bytes = (size_t)martlet_round_up(floats * (int64_t)sizeof(float), 4096);
    return l;
}

static int64_t panels_of(const martlet_conv2d_f32_shape *s) {
    return martlet_ceil_div(s->out_channels, MARTLET_PANEL);
}

// Floats between two planes of a block.
static int64_t plane_of(const layout *l, int64_t row) { return l->block * row + SKEW; }

size_t martlet_conv_winograd_packed_bytes(const martlet_conv2d_f32_shape *s, int32_t late) {
    int64_t planes = late ? TAPS : PLANES;
    return (size_t)(planes * panels_of(s) * MARTLET_PANEL * s->in_channels) * sizeof(float);
}

size_t martlet_conv_winograd_scratch_bytes(
    const martlet_conv2d_f32_shape *s, int32_t late, int32_t threads) {
    threads = martlet_pool_threads(threads);
    return layout_of(s, late, threads).slot_bytes * (size_t)threads;
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

// [panel][channel][tap][32].
static void pack_plainly(void *context, int32_t part, int32_t parts) {
    const pack_job *j = context;
    int64_t channels = j->s->in_channels, from, to;
    martlet_share(panels_of(j->s), part, parts, &from, &to);
    for (int64_t q = from; q < to; q++) {
        int64_t first = q * MARTLET_PANEL;
        martlet_pack_panel(
            j->weights + first * channels * TAPS, 1, channels * TAPS, channels * TAPS,
            martlet_min(MARTLET_PANEL, j->s->out_channels - first),
            j->packed + first * channels * TAPS);
    }
}

void martlet_conv_winograd_pack(
    const martlet_conv2d_f32_shape *s, int32_t late, const float *weights, float *packed) {
    pack_job j = {s, weights, packed};
    int64_t effort = s->in_channels * s->out_channels * PLANES;
    martlet_parallel_for(
        martlet_parts(effort, panels_of(s), 0), 0,
        late ? pack_plainly : pack_part, &j);
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

// What one panel's columns of every plane get from channels [c0, c1). The weights' planes lie
// weight_plane apart.
static void multiply_panel(
    const job *j, int64_t count, int64_t q, int64_t c0, int64_t c1, const float *weights,
    int64_t weight_plane, const float *in, float *out) {
    const martlet_conv2d_f32_shape *s = j->conv->s;
    const martlet_kernel_table *table = martlet_table();
    int64_t in_plane = plane_of(&j->l, j->l.in_row), out_plane = plane_of(&j->l, j->l.out_row);
    martlet_tile_f32 t = {
        .a_row_stride = j->l.in_row, .k = c1 - c0, .taps = 1, .c_row_stride = j->l.out_row,
        .alpha = 1, .accumulate = c0 > 0};
    t.columns = (int32_t)martlet_min(MARTLET_PANEL, s->out_channels - q * MARTLET_PANEL);
    for (int64_t p = 0; p < PLANES; p++) {
        t.b = weights + p * weight_plane;
        for (int64_t m = 0; m < count;) {
            int64_t rows = martlet_tile_step(count - m, table->tile_rows);
            t.a = in + p * in_plane + m * j->l.in_row + c0;
            t.c = out + p * out_plane + m * j->l.out_row + q * MARTLET_PANEL;
            table->tiles[rows](&t);
            m += rows;
        }
    }
}

static void multiply_planes(
    const job *j, int64_t count, const float *in, float *out, float *late) {
    const martlet_conv2d_f32_shape *s = j->conv->s;
    int64_t channels = s->in_channels, panels = panels_of(s), panel = channels * MARTLET_PANEL;
    const float *packed = j->conv->packed;
    for (int64_t q = 0; q < panels; q++) {
        if (!j->l.weight_plane) {
            multiply_panel(
                j, count, q, 0, channels, packed + q * panel, panels * panel, in, out);
            continue;
        }
        // In chunks whose 36 planes stay in the L2 cache.
        for (int64_t c = 0; c < channels; c += CHUNK) {
            int64_t end = martlet_min(c + CHUNK, channels);
            martlet_table()->winograd_weights(
                packed + (q * panel + c * MARTLET_PANEL) * TAPS, late, j->l.weight_plane, end - c);
            multiply_panel(j, count, q, c, end, late, j->l.weight_plane, in, out);
        }
    }
}

static void winograd_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const job *j = context;
    const martlet_conv2d_f32_shape *s = j->conv->s;
    const layout *l = &j->l;
    int64_t from = part * l->block, count = martlet_min(l->block, l->tiles - from);
    int64_t in_plane = plane_of(l, l->in_row), out_plane = plane_of(l, l->out_row);
    float *in =
        (float *)(j->conv->scratch + (size_t)martlet_parallel_slot() * l->slot_bytes);
    float *out = in + PLANES * in_plane, *pixels = out + PLANES * out_plane;
    float *zeros = pixels + 16 * s->out_channels, *late = zeros + s->in_channels;
    memset(zeros, 0, (size_t)s->in_channels * sizeof(float));
    for (int64_t i = 0; i < count; i++)
        load_tile(j, from + i, zeros, in + i * l->in_row, in_plane);
    multiply_planes(j, count, in, out, late);
    for (int64_t i = 0; i < count; i++)
        store_tile(j, from + i, out + i * l->out_row, out_plane, pixels);
}

void martlet_conv_winograd(const martlet_conv *conv, int32_t late) {
    job j = {conv, layout_of(conv->s, late, conv->planned)};
    martlet_parallel_for(
        (int32_t)martlet_ceil_div(j.l.tiles, j.l.block), conv->threads, winograd_part, &j);
}
