// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "slots.h"

enum { DEVICE = 0, DEFAULT_MEMORY = 0, TEXT = 8 };

typedef void *status_t;

void *martlet_ort_tensor(
    const martlet_ort *library, void *data, size_t bytes, const int64_t *dimensions, size_t rank,
    int32_t element_type, void **value) {
    *value = NULL;
    void *memory = NULL;
    status_t status = CALL(library, CREATE_CPU_MEMORY_INFO, status_t, int, int, void **)(
        DEVICE, DEFAULT_MEMORY, &memory);
    if (status) return status;
    status = CALL(library, CREATE_TENSOR_WITH_DATA, status_t, const void *, void *, size_t,
                  const int64_t *, size_t, int, void **)(
        memory, data, bytes, dimensions, rank, element_type, value);
    CALL(library, RELEASE_MEMORY_INFO, void, void *)(memory);
    return status;
}

void *martlet_ort_texts(
    const martlet_ort *library, const int64_t *dimensions, size_t rank, void **value) {
    *value = NULL;
    void *allocator = NULL;
    status_t status = CALL(library, DEFAULT_ALLOCATOR, status_t, void **)(&allocator);
    if (status) return status;
    return CALL(library, CREATE_TENSOR, status_t, void *, const int64_t *, size_t, int,
                void **)(allocator, dimensions, rank, TEXT, value);
}

void *martlet_ort_text_set(
    const martlet_ort *library, void *value, size_t index, const char *text) {
    return CALL(library, SET_TEXT_ELEMENT, status_t, void *, const char *, size_t)(
        value, text, index);
}

void *martlet_ort_texts_size(const martlet_ort *library, const void *value, size_t *bytes) {
    return CALL(library, TEXTS_LENGTH, status_t, const void *, size_t *)(value, bytes);
}

void *martlet_ort_texts_read(
    const martlet_ort *library, const void *value, void *bytes, size_t byte_count,
    size_t *offsets, size_t count) {
    return CALL(library, TEXTS_CONTENT, status_t, const void *, void *, size_t, size_t *,
                size_t)(value, bytes, byte_count, offsets, count);
}

void *martlet_ort_value_data(const martlet_ort *library, void *value, void **data) {
    return CALL(library, TENSOR_DATA, status_t, void *, void **)(value, data);
}

void *martlet_ort_value_shape(
    const martlet_ort *library, const void *value, int32_t *element_type, int64_t *dimensions,
    size_t capacity, size_t *rank) {
    void *info = NULL;
    status_t status = CALL(library, VALUE_TENSOR_INFO, status_t, const void *, void **)(
        value, &info);
    if (status) return status;
    status = CALL(library, TENSOR_ELEMENT_TYPE, status_t, const void *, int *)(
        info, element_type);
    if (!status)
        status = CALL(library, DIMENSION_COUNT, status_t, const void *, size_t *)(info, rank);
    if (!status && *rank <= capacity)
        status = CALL(library, DIMENSIONS, status_t, const void *, int64_t *, size_t)(
            info, dimensions, *rank);
    CALL(library, RELEASE_TENSOR_INFO, void, void *)(info);
    return status;
}

void martlet_ort_value_release(const martlet_ort *library, void *value) {
    CALL(library, RELEASE_VALUE, void, void *)(value);
}

// MARK: Runs

void *martlet_ort_run_options(const martlet_ort *library, void **options) {
    *options = NULL;
    return CALL(library, CREATE_RUN_OPTIONS, status_t, void **)(options);
}

void martlet_ort_run_options_release(const martlet_ort *library, void *options) {
    CALL(library, RELEASE_RUN_OPTIONS, void, void *)(options);
}

void *martlet_ort_run_terminate(const martlet_ort *library, void *options) {
    return CALL(library, SET_TERMINATE, status_t, void *)(options);
}

void *martlet_ort_run(
    const martlet_ort *library, void *session, const void *options,
    const char *const *input_names, const void *const *inputs, size_t input_count,
    const char *const *output_names, size_t output_count, void **outputs) {
    return CALL(library, RUN, status_t, void *, const void *, const char *const *,
                const void *const *, size_t, const char *const *, size_t, void **)(
        session, options, input_names, inputs, input_count, output_names, output_count, outputs);
}
