// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef CMARTLET_Images_H
#define CMARTLET_Images_H

#include <stddef.h>
#include <stdint.h>

// Every function answers a status; errors never leave by longjmp.
typedef enum {
    MARTLET_IMAGE_OK = 0,
    // The bytes are damaged or end early.
    MARTLET_IMAGE_CORRUPT = 1,
    // Sound, but of a kind that is not decoded.
    MARTLET_IMAGE_UNSUPPORTED = 2,
    MARTLET_IMAGE_NO_MEMORY = 3,
    // More work than an image of this size may take.
    MARTLET_IMAGE_LIMIT = 4,
} martlet_image_status;

typedef struct {
    // The library's own words, empty when all went well.
    char text[200];
} martlet_image_message;

// Reads the size from the header; decodes nothing.
martlet_image_status martlet_jpeg_size(const uint8_t *bytes, size_t count, uint32_t *width,
                                       uint32_t *height, martlet_image_message *message);
martlet_image_status martlet_png_size(const uint8_t *bytes, size_t count, uint32_t *width,
                                      uint32_t *height, martlet_image_message *message);

// Decodes to width * height * 3 bytes of RGB, rows from the top. The size must be the one that
// the size function answered. Grey, palette, 16-bit and CMYK images are converted, alpha dropped.
martlet_image_status martlet_jpeg_decode(const uint8_t *bytes, size_t count, uint32_t width,
                                         uint32_t height, uint8_t *pixels,
                                         martlet_image_message *message);
martlet_image_status martlet_png_decode(const uint8_t *bytes, size_t count, uint32_t width,
                                        uint32_t height, uint8_t *pixels,
                                        martlet_image_message *message);

typedef enum {
    MARTLET_FILTER_BILINEAR = 0,
    MARTLET_FILTER_BICUBIC = 1,
} martlet_image_filter;

// Resizes RGB8 with antialiasing, rounding between the passes. Both sizes are at least 1 and their
// byte sizes fit size_t.
martlet_image_status martlet_resize_rgb8(const uint8_t *source, uint32_t width, uint32_t height,
                                         uint8_t *target, uint32_t target_width,
                                         uint32_t target_height, martlet_image_filter filter);

// target[c][i] = pixels[i][c] * scale[c] + bias[c]
void martlet_rgb8_to_planes_f32(const uint8_t *pixels, size_t count, const float scale[3],
                                const float bias[3], float *target);
// target[i][c] = pixels[i][c] * scale[c] + bias[c]
void martlet_rgb8_to_f32(const uint8_t *pixels, size_t count, const float scale[3],
                         const float bias[3], float *target);

#endif
