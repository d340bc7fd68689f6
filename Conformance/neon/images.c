// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "checks.h"

typedef struct {
    int64_t size, in, out, groups, kernel, stride, pad, dilation;
    martlet_conv_algorithm algorithm;
} image;

static martlet_conv2d_f32_shape shape_of(image c) {
    int64_t reach = (c.kernel - 1) * c.dilation + 1;
    int64_t out = (c.size + 2 * c.pad - reach) / c.stride + 1;
    return (martlet_conv2d_f32_shape){
        .batch = 2, .in_height = c.size, .in_width = c.size, .in_channels = c.in,
        .out_height = out, .out_width = out, .out_channels = c.out, .groups = c.groups,
        .kernel_height = c.kernel, .kernel_width = c.kernel, .stride_height = c.stride,
        .stride_width = c.stride, .dilation_height = c.dilation, .dilation_width = c.dilation,
        .pad_top = c.pad, .pad_left = c.pad, .in_pixel_stride = c.in, .out_pixel_stride = c.out,
        .in_shuffle = 1};
}

static void convolution(image c, int index) {
    check("convolution %lld of %lld to %lld channels, algorithm %d", (long long)c.kernel,
          (long long)c.in, (long long)c.out, (int)c.algorithm);
    martlet_conv2d_f32_shape shape = shape_of(c);
    int64_t n = 2 * shape.out_height * shape.out_width * c.out;
    float *x = floats(2 * c.size * c.size * c.in);
    float *weights = floats(c.out * (c.in / c.groups) * c.kernel * c.kernel);
    martlet_epilogue_f32 e = {
        .bias = floats(c.out), .residual = index % 2 ? floats(n) : NULL, .residual_stride = c.out,
        .activation = index % 3 ? MARTLET_ACTIVATION_RELU : MARTLET_ACTIVATION_SILU};
    float *wanted = output(n), *got = output(n);
    martlet_conv2d_f32_reference(&shape, x, weights, wanted, &e);
    fast();
    martlet_conv2d_f32_plan plan = martlet_conv2d_f32_make_plan(&shape, c.algorithm, 0);
    holds(c.algorithm == MARTLET_CONV_AUTOMATIC || plan.algorithm == c.algorithm);
    void *packed = room(plan.packed_bytes);
    martlet_conv2d_f32_pack(&shape, plan.algorithm, weights, packed);
    martlet_conv2d_f32(&shape, &plan, x, packed, got, &e, room(plan.scratch_bytes), 0);
    same(got, wanted, n, 2e-4f);
    if (!martlet_conv2d_narrow_can(&shape)) return;
    for (int type = 0; type < 2; type++) {
        check("narrow convolution %lld of %lld channels, type %d", (long long)c.kernel,
              (long long)c.in, type);
        void *narrow = room(martlet_conv2d_narrow_packed_bytes(type, &shape));
        fast();
        martlet_conv2d_narrow_pack(type, &shape, weights, narrow, 0);
        void *scratch = room(martlet_conv2d_narrow_scratch_bytes(type, &shape, 0));
        martlet_conv2d_narrow(type, &shape, x, narrow, got, &e, scratch, 0);
        plain();
        float *other = output(n);
        martlet_conv2d_narrow(type, &shape, x, narrow, other, &e, scratch, 0);
        same(got, other, n, 1e-3f);
    }
}

static void pools(int64_t size, int64_t channels, int64_t kernel, int64_t stride, int64_t pad) {
    check("pools %lld over %lld channels", (long long)kernel, (long long)channels);
    int64_t out = (size + 2 * pad - kernel) / stride + 1, n = 2 * out * out * channels;
    martlet_pool2d_f32_args args = {
        .x = floats(2 * size * size * channels), .batch = 2, .in_height = size, .in_width = size,
        .channels = channels, .out_height = out, .out_width = out, .kernel_height = kernel,
        .kernel_width = kernel, .stride_height = stride, .stride_width = stride,
        .dilation_height = 1, .dilation_width = 1, .pad_top = pad, .pad_left = pad,
        .pad_bottom = pad, .pad_right = pad, .in_pixel_stride = channels,
        .out_pixel_stride = channels};
    float *got = output(n), *wanted = output(n);
    fast();
    args.y = got;
    martlet_max_pool2d_f32(&args, 0);
    args.y = wanted;
    martlet_max_pool2d_f32_reference(&args);
    same(got, wanted, n, 0);
    args.y = got;
    martlet_average_pool2d_f32(&args, 0);
    args.y = wanted;
    martlet_average_pool2d_f32_reference(&args);
    same(got, wanted, n, 1e-5f);
}

static void layouts(int64_t channels, int64_t pixels) {
    check("layouts of %lld channels", (long long)channels);
    int64_t n = 2 * channels * pixels;
    float *x = floats(n), *got = output(n), *back = output(n);
    fast();
    martlet_nchw_to_nhwc_f32(x, got, 2, channels, pixels, channels, 1);
    float *wanted = floats(n);
    for (int64_t b = 0; b < 2; b++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < pixels; p++)
                wanted[(b * pixels + p) * channels + c] = x[(b * channels + c) * pixels + p];
    same(got, wanted, n, 0);
    martlet_nhwc_to_nchw_f32(got, back, 2, channels, pixels, channels, 1);
    same(back, x, n, 0);
    float *mean = output(2 * channels), *other = output(2 * channels);
    martlet_global_average_pool_f32(got, mean, 2, pixels, channels, channels, 1);
    plain();
    martlet_global_average_pool_f32(got, other, 2, pixels, channels, channels, 1);
    same(mean, other, 2 * channels, 1e-5f);
}

void check_images(void) {
    static const image images[] = {
        {9, 7, 10, 1, 3, 1, 1, 1, MARTLET_CONV_DIRECT},
        {11, 3, 33, 1, 7, 2, 3, 1, MARTLET_CONV_AUTOMATIC},
        {8, 12, 40, 1, 1, 1, 0, 1, MARTLET_CONV_GEMM},
        {8, 12, 20, 4, 1, 1, 0, 1, MARTLET_CONV_AUTOMATIC},
        {9, 13, 13, 13, 3, 1, 1, 1, MARTLET_CONV_DEPTHWISE},
        {9, 40, 40, 40, 5, 2, 2, 1, MARTLET_CONV_DEPTHWISE},
        {14, 16, 32, 1, 3, 1, 1, 1, MARTLET_CONV_WINOGRAD},
        {13, 32, 48, 1, 3, 1, 1, 1, MARTLET_CONV_WINOGRAD_LATE},
        {12, 8, 8, 2, 3, 1, 2, 2, MARTLET_CONV_AUTOMATIC},
        {10, 16, 24, 1, 3, 2, 1, 1, MARTLET_CONV_AUTOMATIC}};
    for (int i = 0; i < (int)(sizeof images / sizeof *images); i++) convolution(images[i], i);
    pools(9, 7, 3, 2, 1);
    pools(12, 35, 2, 2, 0);
    pools(8, 64, 3, 1, 1);
    layouts(3, 50);
    layouts(33, 17);
    layouts(64, 64);
}
