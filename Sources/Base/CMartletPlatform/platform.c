// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#define _GNU_SOURCE
#include "CMartletPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void martlet_error_text(int number, char *text, size_t capacity) {
    if (capacity == 0) return;
    char buffer[256];
    // glibc's form answers a pointer that may or may not be the buffer.
    const char *message = strerror_r(number, buffer, sizeof buffer);
    snprintf(text, capacity, "%s", message);
}

int martlet_wake_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 ? 0 : errno; }

static int release_object(struct dl_phdr_info *object, size_t size, void *total) {
    (void)size;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        // Parts that are never written are the file's own bytes: they come back when used.
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W)) continue;
        uintptr_t place = object->dlpi_addr + part->p_vaddr;
        uintptr_t start = place & ~(page - 1);
        size_t count = ((place + part->p_memsz + page - 1) & ~(page - 1)) - start;
        if (madvise((void *)start, count, MADV_DONTNEED) == 0) *(size_t *)total += count;
    }
    return 0;
}

size_t martlet_release_code(void) {
    size_t total = 0;
    dl_iterate_phdr(release_object, &total);
    return total;
}
