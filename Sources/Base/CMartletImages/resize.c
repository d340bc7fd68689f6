// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "CMartletImages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Weights are whole numbers of 2^-precision: sums of 8-bit samples stay inside 32 bits also where a
// bicubic's weights are negative.
enum { precision = 22 };

// For each output sample: its first input sample, and its weights.
typedef struct {
    uint32_t taps;
    uint32_t *starts;
    uint32_t *counts;
    int32_t *weights;
} resize_plan;

static double weight_bilinear(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

// Keys' cubic with a = -1/2.
static double weight_bicubic(double x) {
    x = fabs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
    return 0;
}

static void plan_free(resize_plan *plan) {
    free(plan->starts);
    free(plan->counts);
    free(plan->weights);
}

// When shrinking, the filter is stretched over all the input that an output sample covers.
static int plan_make(resize_plan *plan, uint32_t from, uint32_t to, martlet_image_filter filter) {
    double scale = (double)from / to;
    double stretch = scale > 1 ? scale : 1;
    double reach = (filter == MARTLET_FILTER_BICUBIC ? 2 : 1) * stretch;
    plan->taps = (uint32_t)ceil(reach) * 2 + 1;
    plan->starts = malloc(sizeof *plan->starts * to);
    plan->counts = malloc(sizeof *plan->counts * to);
    plan->weights = malloc(sizeof *plan->weights * to * plan->taps);
    double *exact = malloc(sizeof *exact * plan->taps);
    if (!plan->starts || !plan->counts || !plan->weights || !exact) {
        free(exact);
        return 0;
    }
    for (uint32_t i = 0; i < to; i++) {
        double centre = (i + 0.5) * scale;
        double low = floor(centre - reach + 0.5), high = floor(centre + reach + 0.5);
        uint32_t start = low < 0 ? 0 : (uint32_t)low;
        uint32_t end = high > from ? from : (uint32_t)high;
        double sum = 0;
        for (uint32_t x = start; x < end; x++) {
            double at = (x + 0.5 - centre) / stretch;
            double weight = filter == MARTLET_FILTER_BICUBIC ? weight_bicubic(at)
                                                             : weight_bilinear(at);
            exact[x - start] = weight;
            sum += weight;
        }
        for (uint32_t k = 0; k < end - start; k++)
            plan->weights[(size_t)i * plan->taps + k] =
                (int32_t)lrint(exact[k] / sum * (1 << precision));
        plan->starts[i] = start;
        plan->counts[i] = end - start;
    }
    free(exact);
    return 1;
}

static inline uint8_t clamped(int32_t sum) {
    int32_t value = sum >> precision;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void resize_row(const resize_plan *plan, const uint8_t *source, uint8_t *target,
                       uint32_t width) {
    for (uint32_t i = 0; i < width; i++) {
        const int32_t *weights = plan->weights + (size_t)i * plan->taps;
        const uint8_t *from = source + (size_t)plan->starts[i] * 3;
        int32_t red = 1 << (precision - 1), green = red, blue = red;
        for (uint32_t k = 0; k < plan->counts[i]; k++) {
            red += weights[k] * from[3 * k];
            green += weights[k] * from[3 * k + 1];
            blue += weights[k] * from[3 * k + 2];
        }
        target[3 * i] = clamped(red);
        target[3 * i + 1] = clamped(green);
        target[3 * i + 2] = clamped(blue);
    }
}

static void resize_column(const resize_plan *plan, uint32_t row, const uint8_t *source,
                          size_t stride, int32_t *sums, uint8_t *target) {
    const int32_t *weights = plan->weights + (size_t)row * plan->taps;
    for (size_t x = 0; x < stride; x++) sums[x] = 1 << (precision - 1);
    for (uint32_t k = 0; k < plan->counts[row]; k++) {
        const uint8_t *from = source + (size_t)(plan->starts[row] + k) * stride;
        int32_t weight = weights[k];
        for (size_t x = 0; x < stride; x++) sums[x] += weight * from[x];
    }
    for (size_t x = 0; x < stride; x++) target[x] = clamped(sums[x]);
}

martlet_image_status martlet_resize_rgb8(const uint8_t *source, uint32_t width, uint32_t height,
                                         uint8_t *target, uint32_t target_width,
                                         uint32_t target_height, martlet_image_filter filter) {
    resize_plan across = {0}, down = {0};
    size_t stride = (size_t)target_width * 3;
    uint8_t *middle = malloc(stride * height);
    int32_t *sums = malloc(sizeof *sums * stride);
    int is_ready = middle && sums && plan_make(&across, width, target_width, filter) &&
                   plan_make(&down, height, target_height, filter);
    if (is_ready) {
        for (uint32_t y = 0; y < height; y++)
            resize_row(&across, source + (size_t)y * width * 3, middle + y * stride, target_width);
        for (uint32_t y = 0; y < target_height; y++)
            resize_column(&down, y, middle, stride, sums, target + y * stride);
    }
    plan_free(&across);
    plan_free(&down);
    free(middle);
    free(sums);
    return is_ready ? MARTLET_IMAGE_OK : MARTLET_IMAGE_NO_MEMORY;
}

void martlet_rgb8_to_planes_f32(const uint8_t *pixels, size_t count, const float scale[3],
                                const float bias[3], float *target) {
    for (int c = 0; c < 3; c++) {
        float *plane = target + (size_t)c * count;
        for (size_t i = 0; i < count; i++) plane[i] = pixels[3 * i + c] * scale[c] + bias[c];
    }
}

void martlet_rgb8_to_f32(const uint8_t *pixels, size_t count, const float scale[3],
                         const float bias[3], float *target) {
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < 3; c++) target[3 * i + c] = pixels[3 * i + c] * scale[c] + bias[c];
}
