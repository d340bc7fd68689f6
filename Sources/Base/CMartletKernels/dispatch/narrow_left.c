// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "narrow_product.h"

// One row of floats, to bf16 or to 8 bits with a scale of its own.
static void convert_floats(
    const martlet_left *left, const float *x, int64_t i, const martlet_left_rows *to) {
    uint32_t *row = to->groups + i * to->stride;
    if (left->type == MARTLET_NARROW_INT8) {
        to->scales[i] = martlet_table()->quantize_row(x, (uint8_t *)row, left->k);
    } else {
        martlet_table()->f32_to_bf16(x, (uint16_t *)row, left->k);
        if (left->k % 2) ((uint16_t *)row)[left->k] = 0;
    }
}

void martlet_left_floats(
    const martlet_left *left, int64_t m0, int64_t m1, const martlet_left_rows *to) {
    for (int64_t m = m0; m < m1; m++)
        convert_floats(left, (const float *)left->x + m * left->row_stride, m - m0, to);
}

// Ends a row of 8-bit values: unsigned, padded to whole groups, its sums and scale noted.
static void finish_bytes(const martlet_left *left, int64_t i, const martlet_left_rows *to) {
    uint8_t *row = (uint8_t *)(to->groups + i * to->stride);
    if (left->is_signed)
        for (int64_t p = 0; p < left->k; p++) row[p] ^= 0x80;
    for (int64_t p = left->k; p % 4; p++) row[p] = 0;
    to->scales[i] = left->scale;
    if (!to->sums) return;
    int32_t zero = left->zero + (left->is_signed ? 128 : 0);
    for (int64_t from = 0, chunk = 0; from < left->k; from += MARTLET_NARROW_CHUNK, chunk++) {
        int64_t n = martlet_min(MARTLET_NARROW_CHUNK, left->k - from);
        to->sums[chunk * to->sums_stride + i] =
            zero * (int32_t)n - martlet_table()->sum_bytes(row + from, n);
    }
}

void martlet_left_bytes(
    const martlet_left *left, int64_t m0, int64_t m1, const martlet_left_rows *to) {
    for (int64_t m = m0; m < m1; m++) {
        memcpy(
            to->groups + (m - m0) * to->stride,
            (const uint8_t *)left->x + m * left->row_stride, (size_t)left->k);
        finish_bytes(left, m - m0, to);
    }
}

// Copies count pixels of one image row from column x on; those outside hold the zero point.
static char *gather_run(
    const martlet_left *left, const char *line, int64_t x, int64_t count, int64_t step,
    char *to) {
    const martlet_conv2d_f32_shape *s = left->image;
    int64_t size = s->in_channels * left->value_bytes;
    int64_t stride = s->in_pixel_stride * left->value_bytes;
    if (step == 1 && stride == size) {
        int64_t first = martlet_min(martlet_max(-x, 0), count);
        int64_t last = martlet_max(martlet_min(s->in_width - x, count), first);
        memset(to, left->zero, (size_t)(first * size));
        memcpy(to + first * size, line + (x + first) * stride, (size_t)((last - first) * size));
        memset(to + last * size, left->zero, (size_t)((count - last) * size));
        return to + count * size;
    }
    for (int64_t i = 0; i < count; i++, x += step, to += size)
        if (x < 0 || x >= s->in_width)
            memset(to, left->zero, (size_t)size);
        else
            memcpy(to, line + x * stride, (size_t)size);
    return to;
}

// The pixels that an output pixel sees, [kernel y][kernel x][channel].
static void gather(const martlet_left *left, int64_t m, char *to) {
    const martlet_conv2d_f32_shape *s = left->image;
    int64_t ox = m % s->out_width, oy = m / s->out_width % s->out_height;
    int64_t n = m / s->out_width / s->out_height;
    int64_t x = ox * s->stride_width - s->pad_left, y = oy * s->stride_height - s->pad_top;
    int64_t line_bytes = s->in_width * s->in_pixel_stride * left->value_bytes;
    for (int64_t ky = 0; ky < s->kernel_height; ky++) {
        int64_t at = y + ky * s->dilation_height;
        if (at < 0 || at >= s->in_height) {
            size_t bytes = (size_t)(s->kernel_width * s->in_channels * left->value_bytes);
            memset(to, left->zero, bytes);
            to += bytes;
            continue;
        }
        const char *line = (const char *)left->x + (n * s->in_height + at) * line_bytes;
        to = gather_run(left, line, x, s->kernel_width, s->dilation_width, to);
    }
}

void martlet_left_pixels(
    const martlet_left *left, int64_t m0, int64_t m1, const martlet_left_rows *to) {
    const martlet_conv2d_f32_shape *s = left->image;
    for (int64_t m = m0; m < m1; m++) {
        uint32_t *row = to->groups + (m - m0) * to->stride;
        if (left->value_bytes == sizeof(float)) {
            // One pixel, inside the image: converted where it lies.
            int64_t x = m % s->out_width * s->stride_width;
            int64_t y = m / s->out_width % s->out_height * s->stride_height;
            int64_t n = m / s->out_width / s->out_height;
            int64_t pixel = (n * s->in_height + y) * s->in_width + x;
            convert_floats(
                left, (const float *)left->x + pixel * s->in_pixel_stride, m - m0, to);
            continue;
        }
        gather(left, m, (char *)row);
        if (left->type == MARTLET_NARROW_INT8)
            finish_bytes(left, m - m0, to);
        else if (left->k % 2)
            ((uint16_t *)row)[left->k] = 0;
    }
}
