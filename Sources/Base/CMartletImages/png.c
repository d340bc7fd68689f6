// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "CMartletImages.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const uint8_t *bytes;
    size_t count;
    size_t position;
    martlet_image_message *message;
} png_source;

static void png_fail(png_structp png, png_const_charp text) {
    png_source *source = png_get_error_ptr(png);
    snprintf(source->message->text, sizeof source->message->text, "%s", text);
    png_longjmp(png, 1);
}

static void png_silence(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void png_take(png_structp png, png_bytep target, size_t count) {
    png_source *source = png_get_io_ptr(png);
    if (count > source->count - source->position) png_error(png, "the file ends early");
    memcpy(target, source->bytes + source->position, count);
    source->position += count;
}

// A decoder that reads `source`; null without memory.
static png_structp png_open(png_source *source, png_infop *info) {
    source->message->text[0] = 0;
    png_structp png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, source, png_fail, png_silence);
    if (!png) return NULL;
    *info = png_create_info_struct(png);
    if (!*info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return NULL;
    }
    return png;
}

// Limits for what stands beside the pixels (profiles, texts), and the reading itself.
static void png_prepare(png_structp png, png_source *source) {
    png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);
    png_set_chunk_malloc_max(png, 8u << 20);
    png_set_chunk_cache_max(png, 128);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_set_read_fn(png, source, png_take);
}

martlet_image_status martlet_png_size(const uint8_t *bytes, size_t count, uint32_t *width,
                                      uint32_t *height, martlet_image_message *message) {
    png_source source = {bytes, count, 0, message};
    png_infop info = NULL;
    png_structp png = png_open(&source, &info);
    if (!png) return MARTLET_IMAGE_NO_MEMORY;
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        return MARTLET_IMAGE_CORRUPT;
    }
    png_prepare(png, &source);
    png_read_info(png, info);
    *width = png_get_image_width(png, info);
    *height = png_get_image_height(png, info);
    png_destroy_read_struct(&png, &info, NULL);
    return MARTLET_IMAGE_OK;
}

// Asks for 8-bit RGB whatever the file holds.
static void png_convert(png_structp png, png_infop info) {
    png_byte type = png_get_color_type(png, info);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (type == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) < 8)
        png_set_expand_gray_1_2_4_to_8(png);
    if (png_get_bit_depth(png, info) == 16) png_set_scale_16(png);
    if (!(type & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
}

martlet_image_status martlet_png_decode(const uint8_t *bytes, size_t count, uint32_t width,
                                        uint32_t height, uint8_t *pixels,
                                        martlet_image_message *message) {
    png_source source = {bytes, count, 0, message};
    png_infop info = NULL;
    png_structp png = png_open(&source, &info);
    if (!png) return MARTLET_IMAGE_NO_MEMORY;
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        return MARTLET_IMAGE_CORRUPT;
    }
    png_prepare(png, &source);
    png_read_info(png, info);
    png_convert(png, info);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    size_t stride = (size_t)width * 3;
    if (png_get_image_width(png, info) != width || png_get_image_height(png, info) != height ||
        png_get_rowbytes(png, info) != stride)
        png_error(png, "the size changed while decoding");
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < height; y++) png_read_row(png, pixels + stride * y, NULL);
    png_destroy_read_struct(&png, &info, NULL);
    return MARTLET_IMAGE_OK;
}
