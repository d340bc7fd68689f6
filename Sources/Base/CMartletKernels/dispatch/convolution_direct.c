// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Direct convolution: a tile's rows are neighbouring output pixels of one image row. The input rows
// that a block of output needs are copied into a padded slab (or read in place where nothing is
// padded), so that borders, groups and pixel strides cost a copy and not a branch.
#include "convolution.h"

enum { SLAB_FLOATS = 1 << 16, WIDTH_STEP = 56 };

typedef struct {
    int in_place;
    int64_t group_in, group_out, panels;    // channels and panels of a group
    int64_t taps, tap_length;               // runs of contiguous input per output, and their length
    int64_t rows, width;                    // output rows and columns of a block
    int64_t slab_height, slab_width, slab_stride;
    size_t slot_bytes;
} layout;

static int64_t extent(int64_t outputs, int64_t stride, int64_t kernel, int64_t dilation) {
    return (outputs - 1) * stride + (kernel - 1) * dilation + 1;
}

static layout layout_of(const martlet_conv2d_f32_shape *s) {
    layout l = {0};
    l.group_in = s->in_channels / s->groups;
    l.group_out = s->out_channels / s->groups;
    l.panels = martlet_ceil_div(l.group_out, MARTLET_PANEL);
    l.in_place =
        s->pad_top == 0 && s->pad_left == 0 &&
        extent(s->out_height, s->stride_height, s->kernel_height, s->dilation_height) <=
            s->in_height &&
        extent(s->out_width, s->stride_width, s->kernel_width, s->dilation_width) <= s->in_width;
    int64_t pixel = l.in_place ? s->in_pixel_stride : l.group_in;
    int contiguous = pixel == l.group_in && s->dilation_width == 1;
    l.taps = contiguous ? s->kernel_height : s->kernel_height * s->kernel_width;
    l.tap_length = contiguous ? s->kernel_width * l.group_in : l.group_in;
    l.width = s->out_width;
    l.rows = s->out_height;
    if (!l.in_place) {
        int64_t line = s->kernel_height * l.group_in;
        if (extent(l.width, s->stride_width, s->kernel_width, s->dilation_width) * line >
            SLAB_FLOATS) {
            int64_t fit = SLAB_FLOATS / martlet_max(line * s->stride_width, 1);
            l.width = martlet_min(l.width, martlet_max(fit / WIDTH_STEP, 1) * WIDTH_STEP);
        }
        l.slab_width = extent(l.width, s->stride_width, s->kernel_width, s->dilation_width);
        int64_t fit = SLAB_FLOATS / martlet_max(
            l.slab_width * l.group_in * s->stride_height, 1);
        l.rows = martlet_min(l.rows, martlet_max(fit, 1));
        // Even blocks: 56 rows in blocks of 14, not of 17.
        l.rows = martlet_ceil_div(s->out_height, martlet_ceil_div(s->out_height, l.rows));
        l.slab_height = extent(l.rows, s->stride_height, s->kernel_height, s->dilation_height);
        l.slab_stride = l.slab_width * l.group_in;
    }
    l.slot_bytes = (size_t)martlet_round_up(
        (l.slab_height * l.slab_stride + 64) * (int64_t)sizeof(float) +
            l.taps * (int64_t)sizeof(int64_t), 4096);
    return l;
}

size_t martlet_conv_direct_packed_bytes(const martlet_conv2d_f32_shape *s) {
    layout l = layout_of(s);
    return (size_t)(s->groups * l.panels * MARTLET_PANEL * l.group_in * s->kernel_height *
                    s->kernel_width) * sizeof(float);
}

size_t martlet_conv_direct_scratch_bytes(const martlet_conv2d_f32_shape *s, int32_t threads) {
    return layout_of(s).slot_bytes * (size_t)martlet_pool_threads(threads);
}

typedef struct {
    const martlet_conv2d_f32_shape *s;
    layout l;
    const float *weights;
    float *packed;
} pack_job;

// A panel is [kernel y][kernel x][channel][32]; the weights' [32][channel][kernel] is transposed in
// small blocks, whose rows then go to their places.
static void pack_panel(const pack_job *j, const float *weights, int64_t outputs, float *to) {
    enum { BLOCK = 64 };
    float block[BLOCK * MARTLET_PANEL] = {0};
    int64_t kernel = j->s->kernel_height * j->s->kernel_width;
    int64_t length = j->l.group_in * kernel;
    for (int64_t i0 = 0; i0 < length; i0 += BLOCK) {
        int64_t size = martlet_min(BLOCK, length - i0);
        martlet_table()->transpose(
            weights + i0, length, block, MARTLET_PANEL, outputs, size);
        for (int64_t i = 0; i < size; i++) {
            int64_t channel = (i0 + i) / kernel, tap = (i0 + i) % kernel;
            memcpy(to + (tap * j->l.group_in + channel) * MARTLET_PANEL,
                   block + i * MARTLET_PANEL, MARTLET_PANEL * sizeof(float));
        }
    }
}

static void pack_part(void *context, int32_t part, int32_t parts) {
    const pack_job *j = context;
    int64_t from, to;
    int64_t row = j->l.group_in * j->s->kernel_height * j->s->kernel_width;
    martlet_share(j->s->groups * j->l.panels, part, parts, &from, &to);
    for (int64_t i = from; i < to; i++) {
        int64_t group = i / j->l.panels, first = i % j->l.panels * MARTLET_PANEL;
        pack_panel(
            j, j->weights + (group * j->l.group_out + first) * row,
            martlet_min(MARTLET_PANEL, j->l.group_out - first),
            j->packed + i * row * MARTLET_PANEL);
    }
}

void martlet_conv_direct_pack(
    const martlet_conv2d_f32_shape *s, const float *weights, float *packed) {
    pack_job j = {s, layout_of(s), weights, packed};
    int64_t items = s->groups * j.l.panels;
    int64_t effort = (int64_t)(martlet_conv_direct_packed_bytes(s) / sizeof(float));
    martlet_parallel_for(martlet_parts(effort, items, 0), 0, pack_part, &j);
}

typedef struct {
    const martlet_conv *conv;
    layout l;
    int64_t rows, row_blocks, column_blocks, panels, panel_blocks;
} job;

// Copies what output rows [y0, y1) and columns [x0, x1) of a group need; outside is zero.
static void fill_slab(
    const martlet_conv *conv, const layout *l, int64_t n, int64_t group, int64_t y0, int64_t y1,
    int64_t x0, int64_t x1, float *slab) {
    const martlet_conv2d_f32_shape *s = conv->s;
    int64_t top = y0 * s->stride_height - s->pad_top, left = x0 * s->stride_width - s->pad_left;
    int64_t height = extent(y1 - y0, s->stride_height, s->kernel_height, s->dilation_height);
    int64_t width = extent(x1 - x0, s->stride_width, s->kernel_width, s->dilation_width);
    int64_t first = martlet_min(martlet_max(-left, 0), width);
    int64_t last = martlet_max(martlet_min(s->in_width - left, width), first);
    for (int64_t y = 0; y < height; y++) {
        float *to = slab + y * l->slab_stride;
        if (top + y < 0 || top + y >= s->in_height) {
            memset(to, 0, (size_t)(width * l->group_in) * sizeof(float));
            continue;
        }
        memset(to, 0, (size_t)(first * l->group_in) * sizeof(float));
        memset(to + last * l->group_in, 0, (size_t)((width - last) * l->group_in) * sizeof(float));
        const float *from =
            conv->x +
            ((n * s->in_height + top + y) * s->in_width + left + first) * s->in_pixel_stride +
            group * l->group_in;
        to += first * l->group_in;
        if (s->in_pixel_stride == l->group_in)
            memcpy(to, from, (size_t)((last - first) * l->group_in) * sizeof(float));
        else
            for (int64_t x = first; x < last; x++, to += l->group_in, from += s->in_pixel_stride)
                memcpy(to, from, (size_t)l->group_in * sizeof(float));
    }
}

static void fill_taps(
    const martlet_conv2d_f32_shape *s, const layout *l, int64_t row, int64_t pixel,
    int64_t *offsets) {
    int64_t columns = l->taps / martlet_max(s->kernel_height, 1);
    for (int64_t t = 0; t < l->taps; t++)
        offsets[t] =
            t / columns * s->dilation_height * row + t % columns * s->dilation_width * pixel;
}

static void direct_part(void *context, int32_t part, int32_t parts) {
    (void)parts;
    const job *j = context;
    const martlet_conv *conv = j->conv;
    const martlet_conv2d_f32_shape *s = conv->s;
    const layout *l = &j->l;
    const martlet_epilogue_f32 *e = conv->epilogue;
    const martlet_kernel_table *table = martlet_table();
    int64_t q0 = part % j->panel_blocks * j->panels, rest = part / j->panel_blocks;
    int64_t x0 = rest % j->column_blocks * l->width;
    rest /= j->column_blocks;
    int64_t y0 = rest % j->row_blocks * j->rows;
    rest /= j->row_blocks;
    int64_t group = rest % s->groups, n = rest / s->groups;
    int64_t q1 = martlet_min(q0 + j->panels, l->panels);
    int64_t y1 = martlet_min(y0 + j->rows, s->out_height);
    int64_t x1 = martlet_min(x0 + l->width, s->out_width);

    char *scratch = conv->scratch + (size_t)martlet_parallel_slot() * l->slot_bytes;
    int64_t *offsets = (int64_t *)scratch;
    float *slab = (float *)(scratch + martlet_round_up(l->taps * (int64_t)sizeof(int64_t), 64));
    const float *origin = slab;
    int64_t row = l->slab_stride, pixel = l->group_in;
    if (l->in_place) {
        pixel = s->in_pixel_stride;
        row = s->in_width * pixel;
        origin = conv->x + group * l->group_in +
                 ((n * s->in_height + y0 * s->stride_height) * s->in_width +
                  x0 * s->stride_width) * pixel;
    } else
        fill_slab(conv, l, n, group, y0, y1, x0, x1, slab);
    fill_taps(s, l, row, pixel, offsets);

    martlet_tile_f32 t = {
        .a_row_stride = s->stride_width * pixel, .k = l->tap_length, .taps = l->taps,
        .tap_offsets = offsets, .c_row_stride = s->out_pixel_stride,
        .residual_stride = e->residual_stride, .alpha = 1};
    int after = martlet_tile_clip(e, &t);
    int64_t panel_floats = s->kernel_height * s->kernel_width * l->group_in * MARTLET_PANEL;
    for (int64_t q = q0; q < q1; q++) {
        int64_t channel = group * l->group_out + q * MARTLET_PANEL;
        t.b = conv->packed + (group * l->panels + q) * panel_floats;
        t.columns = (int32_t)martlet_min(MARTLET_PANEL, l->group_out - q * MARTLET_PANEL);
        t.bias = e->bias ? e->bias + channel : NULL;
        for (int64_t y = y0; y < y1; y++)
            for (int64_t x = x0; x < x1;) {
                int64_t rows = martlet_tile_step(x1 - x, table->tile_rows);
                int64_t out = (n * s->out_height + y) * s->out_width + x;
                t.a = origin + (y - y0) * s->stride_height * row + (x - x0) * t.a_row_stride;
                t.c = conv->y + out * s->out_pixel_stride + channel;
                t.residual =
                    e->residual ? e->residual + out * e->residual_stride + channel : NULL;
                table->tiles[rows](&t);
                if (after)
                    table->activate(e->activation, t.c, rows, t.columns, t.c_row_stride,
                                    e->minimum, e->maximum);
                x += rows;
            }
    }
}

void martlet_conv_direct(const martlet_conv *conv) {
    const martlet_conv2d_f32_shape *s = conv->s;
    job j = {conv, layout_of(s), 0, 0, 0, 0, 1};
    j.rows = j.l.rows;
    j.panels = j.l.panels;
    j.column_blocks = martlet_ceil_div(s->out_width, j.l.width);
    int64_t wanted = conv->threads == 1 ? 1 : conv->threads * 4;
    int64_t fixed = s->batch * s->groups * j.column_blocks;
    while (j.rows > 4 && fixed * martlet_ceil_div(s->out_height, j.rows) < wanted)
        j.rows = (j.rows + 1) / 2;
    j.row_blocks = martlet_ceil_div(s->out_height, j.rows);
    if (fixed * j.row_blocks < wanted) {
        j.panel_blocks = martlet_min(martlet_ceil_div(wanted, fixed * j.row_blocks), j.l.panels);
        j.panels = martlet_ceil_div(j.l.panels, j.panel_blocks);
        j.panel_blocks = martlet_ceil_div(j.l.panels, j.panels);
    }
    int64_t parts = fixed * j.row_blocks * j.panel_blocks;
    martlet_parallel_for((int32_t)parts, conv->threads, direct_part, &j);
}
