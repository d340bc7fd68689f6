// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slots.h"

int32_t martlet_ort_status_code(const martlet_ort *library, const void *status) {
    return CALL(library, GET_ERROR_CODE, int, const void *)(status);
}

const char *martlet_ort_status_message(const martlet_ort *library, const void *status) {
    return CALL(library, GET_ERROR_MESSAGE, const char *, const void *)(status);
}

void martlet_ort_status_release(const martlet_ort *library, void *status) {
    CALL(library, RELEASE_STATUS, void, void *)(status);
}

// A table of another kind would not give back what was put into a status.
static int behaves(const martlet_ort *library) {
    enum { PROBE_CODE = 3 };
    static const char probe[] = "martlet";
    void *status = CALL(library, CREATE_STATUS, void *, int, const char *)(PROBE_CODE, probe);
    if (!status) return 0;
    const char *message = martlet_ort_status_message(library, status);
    int same = martlet_ort_status_code(library, status) == PROBE_CODE && message
               && strcmp(message, probe) == 0;
    martlet_ort_status_release(library, status);
    return same;
}

martlet_ort_fault martlet_ort_check(const martlet_ort_base *base, martlet_ort *library) {
    memset(library, 0, sizeof *library);
    const char *version = base && base->version ? base->version() : NULL;
    if (!version) return MARTLET_ORT_NO_VERSION;
    library->version = version;
    // "1.31.1" offers the interfaces up to 31.
    char *end = NULL;
    long major = strtol(version, &end, 10);
    if (end == version || *end != '.') return MARTLET_ORT_NO_VERSION;
    const char *second = end + 1;
    long minor = strtol(second, &end, 10);
    if (end == second || minor < 0) return MARTLET_ORT_NO_VERSION;
    if (major != 1 || minor < MARTLET_ORT_INTERFACE_MIN) return MARTLET_ORT_NO_INTERFACE;
    if (minor > MARTLET_ORT_INTERFACE_MAX) minor = MARTLET_ORT_INTERFACE_MAX;
    for (long wanted = minor; wanted >= MARTLET_ORT_INTERFACE_MIN; wanted--) {
        library->slots = base->table((uint32_t)wanted);
        library->interface = (uint32_t)wanted;
        if (library->slots) return behaves(library) ? MARTLET_ORT_OK : MARTLET_ORT_BAD_TABLE;
    }
    return MARTLET_ORT_NO_INTERFACE;
}

martlet_ort_fault martlet_ort_open(
    const char *path, martlet_ort *library, char *text, size_t capacity) {
    memset(library, 0, sizeof *library);
    if (capacity) text[0] = 0;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *reason = dlerror();
        snprintf(text, capacity, "%s", reason ? reason : "no reason given");
        return MARTLET_ORT_NOT_LOADED;
    }
    const martlet_ort_base *(*base)(void);
    *(void **)&base = dlsym(handle, "OrtGetApiBase");
    if (!base) {
        dlclose(handle);
        return MARTLET_ORT_NOT_RUNTIME;
    }
    return martlet_ort_check(base(), library);
}
