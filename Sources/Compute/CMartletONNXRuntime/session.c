// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include <stdio.h>
#include <string.h>

#include "slots.h"

// The library's numbers: log only what is fatal, since statuses tell the rest; every rewrite.
enum { LOG_FATAL = 4, OPTIMIZE_ALL = 99, ARENA = 1, DEFAULT_MEMORY = 0 };

typedef void *status_t;

void *martlet_ort_environment(const martlet_ort *library, int32_t threads, void **environment) {
    *environment = NULL;
    void *options = NULL, *made = NULL, *memory = NULL;
    status_t status = CALL(library, CREATE_THREADING_OPTIONS, status_t, void **)(&options);
    if (status) return status;
    status = CALL(library, SET_GLOBAL_INTRA_THREADS, status_t, void *, int)(options, threads);
    if (!status)
        status = CALL(library, SET_GLOBAL_INTER_THREADS, status_t, void *, int)(options, 1);
    if (!status)
        status = CALL(library, CREATE_ENVIRONMENT_WITH_THREADS, status_t, int, const char *,
                      const void *, void **)(LOG_FATAL, "martlet", options, &made);
    CALL(library, RELEASE_THREADING_OPTIONS, void, void *)(options);
    if (status) return status;
    status = CALL(library, CREATE_CPU_MEMORY_INFO, status_t, int, int, void **)(
        ARENA, DEFAULT_MEMORY, &memory);
    if (!status)
        status = CALL(library, CREATE_SHARED_ALLOCATOR, status_t, void *, const void *,
                      const void *)(made, memory, NULL);
    if (memory) CALL(library, RELEASE_MEMORY_INFO, void, void *)(memory);
    if (status) {
        CALL(library, RELEASE_ENVIRONMENT, void, void *)(made);
        return status;
    }
    *environment = made;
    return NULL;
}

static status_t set_up(const martlet_ort *library, void *made, martlet_ort_options options) {
    status_t status =
        CALL(library, SET_GRAPH_OPTIMIZATION_LEVEL, status_t, void *, int)(made, OPTIMIZE_ALL);
    if (!status)
        status = CALL(library, ADD_SESSION_ENTRY, status_t, void *, const char *, const char *)(
            made, "session.use_env_allocators", "1");
    if (!status && options.own_threads > 0) {
        status = CALL(library, SET_INTRA_THREADS, status_t, void *, int)(
            made, options.own_threads);
        if (!status) status = CALL(library, SET_INTER_THREADS, status_t, void *, int)(made, 1);
    } else if (!status) {
        status = CALL(library, DISABLE_SESSION_THREADS, status_t, void *)(made);
    }
    if (!status && options.profile_prefix && options.profile_prefix[0])
        status = CALL(library, ENABLE_PROFILING, status_t, void *, const char *)(
            made, options.profile_prefix);
    return status;
}

void *martlet_ort_session(
    const martlet_ort *library, const void *environment, const char *path,
    martlet_ort_options options, void **session) {
    *session = NULL;
    void *made = NULL;
    status_t status = CALL(library, CREATE_SESSION_OPTIONS, status_t, void **)(&made);
    if (status) return status;
    status = set_up(library, made, options);
    if (!status)
        status = CALL(library, CREATE_SESSION, status_t, const void *, const char *,
                      const void *, void **)(environment, path, made, session);
    CALL(library, RELEASE_SESSION_OPTIONS, void, void *)(made);
    return status;
}

void martlet_ort_session_release(const martlet_ort *library, void *session) {
    CALL(library, RELEASE_SESSION, void, void *)(session);
}

// MARK: Inputs and outputs

void *martlet_ort_port_count(
    const martlet_ort *library, const void *session, int32_t is_output, size_t *count) {
    int slot = is_output ? OUTPUT_COUNT : INPUT_COUNT;
    return CALL(library, slot, status_t, const void *, size_t *)(session, count);
}

static status_t read_type(const martlet_ort *library, martlet_ort_port *port) {
    const void *tensor = NULL;
    status_t status = CALL(library, TYPE_KIND, status_t, const void *, int *)(
        port->type_info, &port->kind);
    if (status || port->kind != 1) return status;
    status = CALL(library, CAST_TYPE_TO_TENSOR, status_t, const void *, const void **)(
        port->type_info, &tensor);
    if (status || !tensor) return status;
    status = CALL(library, TENSOR_ELEMENT_TYPE, status_t, const void *, int *)(
        tensor, &port->element_type);
    if (!status)
        status = CALL(library, DIMENSION_COUNT, status_t, const void *, size_t *)(
            tensor, &port->rank);
    if (status || port->rank > MARTLET_ORT_RANK_MAX) return status;
    status = CALL(library, DIMENSIONS, status_t, const void *, int64_t *, size_t)(
        tensor, port->dimensions, port->rank);
    if (!status)
        status = CALL(library, SYMBOLIC_DIMENSIONS, status_t, const void *, const char **,
                      size_t)(tensor, port->symbols, port->rank);
    return status;
}

void *martlet_ort_port_read(
    const martlet_ort *library, const void *session, int32_t is_output, size_t index,
    martlet_ort_port *port) {
    memset(port, 0, sizeof *port);
    void *allocator = NULL;
    status_t status = CALL(library, DEFAULT_ALLOCATOR, status_t, void **)(&allocator);
    if (!status)
        status = CALL(library, is_output ? OUTPUT_NAME : INPUT_NAME, status_t, const void *,
                      size_t, void *, char **)(session, index, allocator, &port->name);
    if (!status)
        status = CALL(library, is_output ? OUTPUT_TYPE : INPUT_TYPE, status_t, const void *,
                      size_t, void **)(session, index, &port->type_info);
    if (!status) status = read_type(library, port);
    if (status) martlet_ort_port_release(library, port);
    return status;
}

static void free_text(const martlet_ort *library, char *text) {
    void *allocator = NULL;
    status_t status = CALL(library, DEFAULT_ALLOCATOR, status_t, void **)(&allocator);
    if (!status)
        status = CALL(library, ALLOCATOR_FREE, status_t, void *, void *)(allocator, text);
    if (status) martlet_ort_status_release(library, status);
}

void martlet_ort_port_release(const martlet_ort *library, martlet_ort_port *port) {
    if (port->name) free_text(library, port->name);
    if (port->type_info) CALL(library, RELEASE_TYPE_INFO, void, void *)(port->type_info);
    memset(port, 0, sizeof *port);
}

void *martlet_ort_profile_end(
    const martlet_ort *library, void *session, char *path, size_t capacity) {
    void *allocator = NULL;
    char *name = NULL;
    if (capacity) path[0] = 0;
    status_t status = CALL(library, DEFAULT_ALLOCATOR, status_t, void **)(&allocator);
    if (!status)
        status = CALL(library, END_PROFILING, status_t, void *, void *, char **)(
            session, allocator, &name);
    if (!name) return status;
    snprintf(path, capacity, "%s", name);
    free_text(library, name);
    return status;
}
