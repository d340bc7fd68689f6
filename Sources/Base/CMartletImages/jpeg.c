// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "CMartletImages.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

// A progressive file may hold thousands of nearly empty scans over the whole image: each costs a
// pass. No encoder writes more than a dozen or so; a large image may not have many more.
enum { scans_free = 16, scans_max = 200 };
static const uint64_t scanned_pixels_max = (uint64_t)1 << 30;

typedef struct {
    struct jpeg_error_mgr manager;
    jmp_buf escape;
    martlet_image_status status;
    martlet_image_message *message;
} jpeg_failure;

typedef struct {
    struct jpeg_progress_mgr manager;
    jpeg_failure *failure;
} jpeg_watch;

static void jpeg_note(j_common_ptr common, jpeg_failure *failure) {
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    snprintf(failure->message->text, sizeof failure->message->text, "%s", text);
}

static void jpeg_fail(j_common_ptr common) {
    jpeg_failure *failure = (jpeg_failure *)common->err;
    jpeg_note(common, failure);
    failure->status = common->err->msg_code == JERR_OUT_OF_MEMORY ? MARTLET_IMAGE_NO_MEMORY
                                                                 : MARTLET_IMAGE_CORRUPT;
    longjmp(failure->escape, 1);
}

// Warnings that mean lost pixels are errors; others (odd padding, unknown markers) are not.
static void jpeg_hear(j_common_ptr common, int level) {
    if (level >= 0) return;
    int code = common->err->msg_code;
    if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER) jpeg_fail(common);
}

static void jpeg_silence(j_common_ptr common) { (void)common; }

static void jpeg_count_scans(j_common_ptr common) {
    jpeg_watch *watch = (jpeg_watch *)common->progress;
    if (!common->is_decompressor) return;
    j_decompress_ptr jpeg = (j_decompress_ptr)common;
    int scans = jpeg->input_scan_number;
    uint64_t pixels = (uint64_t)jpeg->image_width * jpeg->image_height;
    if (scans <= scans_free ||
        (scans <= scans_max && pixels * (uint64_t)scans <= scanned_pixels_max))
        return;
    snprintf(watch->failure->message->text, sizeof watch->failure->message->text,
             "%d scans over %u x %u pixels", scans, jpeg->image_width, jpeg->image_height);
    watch->failure->status = MARTLET_IMAGE_LIMIT;
    longjmp(watch->failure->escape, 1);
}

static void jpeg_prepare(struct jpeg_decompress_struct *jpeg, jpeg_failure *failure,
                         martlet_image_message *message) {
    memset(jpeg, 0, sizeof *jpeg);
    message->text[0] = 0;
    failure->message = message;
    failure->status = MARTLET_IMAGE_OK;
    jpeg->err = jpeg_std_error(&failure->manager);
    failure->manager.error_exit = jpeg_fail;
    failure->manager.emit_message = jpeg_hear;
    failure->manager.output_message = jpeg_silence;
}

martlet_image_status martlet_jpeg_size(const uint8_t *bytes, size_t count, uint32_t *width,
                                       uint32_t *height, martlet_image_message *message) {
    struct jpeg_decompress_struct jpeg;
    jpeg_failure failure;
    jpeg_prepare(&jpeg, &failure, message);
    if (setjmp(failure.escape)) {
        jpeg_destroy_decompress(&jpeg);
        return failure.status;
    }
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, bytes, count);
    jpeg_read_header(&jpeg, TRUE);
    *width = jpeg.image_width;
    *height = jpeg.image_height;
    jpeg_destroy_decompress(&jpeg);
    return MARTLET_IMAGE_OK;
}

// Four inks to RGB, in place in front. Adobe's writers store inks inverted.
static void inks_to_rgb(const uint8_t *inks, uint8_t *pixels, uint32_t width, int is_inverted) {
    for (uint32_t x = 0; x < width; x++) {
        unsigned key = is_inverted ? inks[4 * x + 3] : 255u - inks[4 * x + 3];
        for (int c = 0; c < 3; c++) {
            unsigned ink = is_inverted ? inks[4 * x + c] : 255u - inks[4 * x + c];
            pixels[3 * x + c] = (uint8_t)((ink * key + 127) / 255);
        }
    }
}

static void jpeg_rows(struct jpeg_decompress_struct *jpeg, uint8_t *pixels) {
    size_t stride = (size_t)jpeg->output_width * 3;
    if (jpeg->out_color_space != JCS_CMYK) {
        while (jpeg->output_scanline < jpeg->output_height) {
            JSAMPROW row = pixels + stride * jpeg->output_scanline;
            jpeg_read_scanlines(jpeg, &row, 1);
        }
        return;
    }
    // Taken from the decoder's own pool: freed with it, also after an error.
    JSAMPARRAY inks = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE,
                                              jpeg->output_width * 4, 1);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *row = pixels + stride * jpeg->output_scanline;
        jpeg_read_scanlines(jpeg, inks, 1);
        inks_to_rgb(inks[0], row, jpeg->output_width, jpeg->saw_Adobe_marker);
    }
}

martlet_image_status martlet_jpeg_decode(const uint8_t *bytes, size_t count, uint32_t width,
                                         uint32_t height, uint8_t *pixels,
                                         martlet_image_message *message) {
    struct jpeg_decompress_struct jpeg;
    jpeg_failure failure;
    jpeg_watch watch;
    jpeg_prepare(&jpeg, &failure, message);
    if (setjmp(failure.escape)) {
        jpeg_destroy_decompress(&jpeg);
        return failure.status;
    }
    jpeg_create_decompress(&jpeg);
    memset(&watch, 0, sizeof watch);
    watch.manager.progress_monitor = jpeg_count_scans;
    watch.failure = &failure;
    jpeg.progress = &watch.manager;
    jpeg_mem_src(&jpeg, bytes, count);
    jpeg_read_header(&jpeg, TRUE);
    int has_inks = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
    jpeg.out_color_space = has_inks ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&jpeg);
    martlet_image_status status = MARTLET_IMAGE_OK;
    if (jpeg.output_width != width || jpeg.output_height != height) {
        snprintf(message->text, sizeof message->text, "the size changed while decoding");
        status = MARTLET_IMAGE_CORRUPT;
    } else {
        jpeg_rows(&jpeg, pixels);
    }
    // Not jpeg_finish_decompress: what follows the last row does not matter.
    jpeg_destroy_decompress(&jpeg);
    return status;
}
