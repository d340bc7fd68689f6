// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef CMARTLET_ONNX_RUNTIME_H
#define CMARTLET_ONNX_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

// ONNX Runtime's C interface, reached through a library that is opened at run time and called by
// the places of its function table, which only ever grows. No vendor header takes part.
//
// Functions that may fail return a status: NULL when all went well, else to be read with
// martlet_ort_status_* and released.

/// The first entry of the library's interface: what its exported function returns.
typedef struct martlet_ort_base {
    const void *const *(*table)(uint32_t version);
    const char *(*version)(void);
} martlet_ort_base;

typedef struct martlet_ort {
    const void *const *slots;
    /// The library's own version, "1.31.1"; lives as long as the process.
    const char *version;
    /// The interface's version that `slots` is of.
    uint32_t interface;
} martlet_ort;

/// The oldest interface that has every entry that is called here.
#define MARTLET_ORT_INTERFACE_MIN 11
/// The newest interface whose entries' places were checked.
#define MARTLET_ORT_INTERFACE_MAX 31

typedef enum martlet_ort_fault {
    MARTLET_ORT_OK,
    /// The system's loader refused it; the text says why.
    MARTLET_ORT_NOT_LOADED,
    /// It does not export OrtGetApiBase.
    MARTLET_ORT_NOT_RUNTIME,
    /// Its version is not one that can be read.
    MARTLET_ORT_NO_VERSION,
    /// It offers no interface between the oldest and the newest above.
    MARTLET_ORT_NO_INTERFACE,
    /// The table does not behave as its entries should.
    MARTLET_ORT_BAD_TABLE,
} martlet_ort_fault;

/// Opens a library, which stays open until the process ends.
martlet_ort_fault martlet_ort_open(
    const char *path, martlet_ort *library, char *text, size_t capacity);

/// What `martlet_ort_open` does once the library is there.
martlet_ort_fault martlet_ort_check(const martlet_ort_base *base, martlet_ort *library);

// MARK: Statuses

int32_t martlet_ort_status_code(const martlet_ort *library, const void *status);
const char *martlet_ort_status_message(const martlet_ort *library, const void *status);
void martlet_ort_status_release(const martlet_ort *library, void *status);

// MARK: The process's environment

/// Makes the environment with a pool of threads and an arena that all its sessions share.
/// threads counts the caller; 0 is one per core.
void *martlet_ort_environment(const martlet_ort *library, int32_t threads, void **environment);

// MARK: Sessions

typedef struct martlet_ort_options {
    /// A pool of this many threads for the session alone; 0 shares the environment's.
    int32_t own_threads;
    /// Where to write a profile, and that one is wanted; NULL or "" for none.
    const char *profile_prefix;
} martlet_ort_options;

void *martlet_ort_session(
    const martlet_ort *library, const void *environment, const char *path,
    martlet_ort_options options, void **session);
void martlet_ort_session_release(const martlet_ort *library, void *session);

#define MARTLET_ORT_RANK_MAX 16

/// An input or output of a session.
typedef struct martlet_ort_port {
    /// The session's; given back with the port.
    char *name;
    void *type_info;
    /// 0 unknown, 1 tensor, 2 sequence, 3 map, 4 opaque, 5 sparse tensor, 6 optional.
    int32_t kind;
    int32_t element_type;
    /// May exceed MARTLET_ORT_RANK_MAX; then no dimension is given.
    size_t rank;
    /// -1 where it varies.
    int64_t dimensions[MARTLET_ORT_RANK_MAX];
    /// "" where it has no name; valid until the port is given back.
    const char *symbols[MARTLET_ORT_RANK_MAX];
} martlet_ort_port;

void *martlet_ort_port_count(
    const martlet_ort *library, const void *session, int32_t is_output, size_t *count);
void *martlet_ort_port_read(
    const martlet_ort *library, const void *session, int32_t is_output, size_t index,
    martlet_ort_port *port);
void martlet_ort_port_release(const martlet_ort *library, martlet_ort_port *port);

/// Ends a session's profile and copies the file's name, NUL-terminated, cut to the capacity.
void *martlet_ort_profile_end(
    const martlet_ort *library, void *session, char *path, size_t capacity);

// MARK: Values

/// A tensor in the caller's memory, which must outlive it.
void *martlet_ort_tensor(
    const martlet_ort *library, void *data, size_t bytes, const int64_t *dimensions, size_t rank,
    int32_t element_type, void **value);
/// A tensor of empty texts.
void *martlet_ort_texts(
    const martlet_ort *library, const int64_t *dimensions, size_t rank, void **value);
/// Sets one text, which ends at its first zero byte.
void *martlet_ort_text_set(
    const martlet_ort *library, void *value, size_t index, const char *text);
/// The bytes of all texts together.
void *martlet_ort_texts_size(const martlet_ort *library, const void *value, size_t *bytes);
/// The texts one after the other, and where each begins.
void *martlet_ort_texts_read(
    const martlet_ort *library, const void *value, void *bytes, size_t byte_count,
    size_t *offsets, size_t count);
void *martlet_ort_value_data(const martlet_ort *library, void *value, void **data);
/// The rank may exceed the capacity; then no dimension is given.
void *martlet_ort_value_shape(
    const martlet_ort *library, const void *value, int32_t *element_type, int64_t *dimensions,
    size_t capacity, size_t *rank);
void martlet_ort_value_release(const martlet_ort *library, void *value);

// MARK: Runs

void *martlet_ort_run_options(const martlet_ort *library, void **options);
void martlet_ort_run_options_release(const martlet_ort *library, void *options);
/// Ends the run that uses these options soon, from any thread.
void *martlet_ort_run_terminate(const martlet_ort *library, void *options);

/// Outputs that are NULL are made by the library; others are written in place.
void *martlet_ort_run(
    const martlet_ort *library, void *session, const void *options,
    const char *const *input_names, const void *const *inputs, size_t input_count,
    const char *const *output_names, size_t output_count, void **outputs);

#endif
