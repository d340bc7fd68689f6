// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Convolution as a product whose left rows are gathered block by block: the pixels that an output
// pixel sees, side by side.
#include "narrow_product.h"

int32_t martlet_conv2d_narrow_can(const martlet_conv2d_f32_shape *s) {
    return s->groups == 1 && s->in_shuffle <= 1 && s->in_pixel_stride == s->in_channels;
}

static int64_t depth(const martlet_conv2d_f32_shape *s) {
    return s->kernel_height * s->kernel_width * s->in_channels;
}

// Whether an output pixel sees one input pixel that is always there.
static int is_point(const martlet_conv2d_f32_shape *s) {
    return s->kernel_height == 1 && s->kernel_width == 1 && s->pad_top == 0 &&
           s->pad_left == 0 && (s->out_height - 1) * s->stride_height < s->in_height &&
           (s->out_width - 1) * s->stride_width < s->in_width;
}

size_t martlet_conv2d_narrow_packed_bytes(
    martlet_narrow type, const martlet_conv2d_f32_shape *s) {
    return martlet_gemm_narrow_pack_b_bytes(type, depth(s), s->out_channels);
}

void martlet_conv2d_narrow_pack(
    martlet_narrow type, const martlet_conv2d_f32_shape *s, const float *weights, void *packed,
    int32_t threads) {
    martlet_narrow_source source = {
        .b = weights, .row_stride = 1, .column_stride = depth(s), .k = depth(s),
        .n = s->out_channels, .taps = s->kernel_height * s->kernel_width,
        .channels = s->in_channels};
    martlet_narrow_pack(type, &source, packed, threads);
}

// The image in the narrow type, and what sums start at.
static size_t head_bytes(martlet_narrow type, const martlet_conv2d_f32_shape *s) {
    if (is_point(s)) return 0;
    int64_t pixels = s->batch * s->in_height * s->in_width;
    int64_t values = type == MARTLET_NARROW_BF16 ? 2 : 1;
    martlet_narrow_b b = martlet_narrow_layout(type, depth(s), s->out_channels, NULL);
    int64_t starts = type == MARTLET_NARROW_BF16 ? 0 : b.columns * b.chunks * 4;
    return (size_t)martlet_round_up(pixels * s->in_channels * values + 64 + starts, 4096);
}

size_t martlet_conv2d_narrow_scratch_bytes(
    martlet_narrow type, const martlet_conv2d_f32_shape *s, int32_t threads) {
    int64_t pixels = s->batch * s->out_height * s->out_width;
    return head_bytes(type, s) +
           martlet_narrow_product_scratch_bytes(type, pixels, depth(s), 0, 0, threads);
}

typedef struct {
    const float *x;
    uint16_t *y;
    int64_t n;
} narrow_job;

static void narrow_part(void *context, int32_t part, int32_t parts) {
    const narrow_job *j = context;
    int64_t from, to;
    martlet_share(j->n, part, parts, &from, &to);
    martlet_table()->f32_to_bf16(j->x + from, j->y + from, to - from);
}

static void run_images_int8(
    const martlet_conv2d_f32_shape *s, const martlet_narrow_product *whole, char *scratch,
    int32_t threads) {
    int64_t in = s->in_height * s->in_width * s->in_channels;
    int64_t out = s->out_height * s->out_width;
    uint8_t *image = (uint8_t *)scratch;
    int32_t *starts = (int32_t *)(scratch + martlet_round_up(in, 64));
    martlet_conv2d_f32_shape one = *s;
    one.batch = 1;
    for (int64_t n = 0; n < s->batch; n++) {
        martlet_narrow_product p = *whole;
        int32_t zero = 0;
        float scale = NAN;
        if (martlet_dynamic_quantize(
                (const float *)whole->left.x + n * in, image, in, &scale, &zero, threads))
            scale = NAN;
        for (int64_t i = 0; i < p.b.columns * p.b.chunks; i++)
            starts[i] = p.b.starts[i] / MARTLET_NARROW_ZERO * zero;
        p.b.starts = starts;
        p.left.image = &one;
        p.left.x = image;
        p.left.scale = scale;
        p.left.zero = zero;
        p.m = out;
        p.c += n * out * p.c_row_stride;
        if (p.epilogue.residual)
            p.epilogue.residual += n * out * p.epilogue.residual_stride;
        martlet_narrow_product_run(&p, scratch + head_bytes(MARTLET_NARROW_INT8, s), threads);
    }
}

void martlet_conv2d_narrow(
    martlet_narrow type, const martlet_conv2d_f32_shape *s, const float *x, const void *packed,
    float *y, const martlet_epilogue_f32 *epilogue, void *scratch, int32_t threads) {
    martlet_narrow_product p = {
        .m = s->batch * s->out_height * s->out_width, .n = s->out_channels,
        .left = {.convert = martlet_left_pixels, .type = type, .k = depth(s), .x = x,
                 .image = s, .value_bytes = sizeof(float)},
        .b = martlet_narrow_layout(type, depth(s), s->out_channels, packed),
        .c = y, .c_row_stride = s->out_pixel_stride, .alpha = 1, .epilogue = *epilogue};
    if (p.m <= 0 || p.n <= 0) return;
    if (is_point(s)) {
        martlet_narrow_product_run(&p, scratch, threads);
        return;
    }
    if (type == MARTLET_NARROW_INT8) {
        p.left.value_bytes = 1;
        run_images_int8(s, &p, scratch, threads);
        return;
    }
    narrow_job j = {x, scratch, s->batch * s->in_height * s->in_width * s->in_channels};
    martlet_parallel_for(martlet_parts(j.n, j.n, threads), threads, narrow_part, &j);
    p.left.x = scratch;
    p.left.value_bytes = 2;
    martlet_narrow_product_run(&p, (char *)scratch + head_bytes(type, s), threads);
}
