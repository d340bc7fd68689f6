// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#define _GNU_SOURCE
#include "CMartletPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// Newer than Debian 12's headers.
enum { USER_MODE_ONLY = 1, WP_ASYNC = 1 << 15 };

void martlet_error_text(int number, char *text, size_t capacity) {
    if (capacity == 0) return;
    char buffer[256];
    // glibc's form answers a pointer that may or may not be the buffer.
    const char *message = strerror_r(number, buffer, sizeof buffer);
    snprintf(text, capacity, "%s", message);
}

int martlet_wake_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 ? 0 : errno; }

// The whole pages of a part of the program that is never written: the file's own bytes, which come
// back when they are used. Nothing for other parts.
static size_t code_pages(const struct dl_phdr_info *object, int number, uintptr_t *start) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const ElfW(Phdr) *part = &object->dlpi_phdr[number];
    if (part->p_type != PT_LOAD || (part->p_flags & PF_W)) return 0;
    uintptr_t place = object->dlpi_addr + part->p_vaddr;
    *start = place & ~(page - 1);
    return ((place + part->p_memsz + page - 1) & ~(page - 1)) - *start;
}

static int release_object(struct dl_phdr_info *object, size_t size, void *total) {
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        uintptr_t start;
        size_t count = code_pages(object, i, &start);
        if (count > 0 && madvise((void *)start, count, MADV_DONTNEED) == 0) {
            *(size_t *)total += count;
        }
    }
    return 0;
}

struct singly {
    int descriptor;
    size_t total;
};

static int map_object_singly(struct dl_phdr_info *object, size_t size, void *context) {
    (void)size;
    struct singly *singly = context;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        uintptr_t start;
        size_t count = code_pages(object, i, &start);
        if (count == 0) continue;
        struct uffdio_register part = {
            .range = {.start = start, .len = count}, .mode = UFFDIO_REGISTER_MODE_WP};
        if (ioctl(singly->descriptor, UFFDIO_REGISTER, &part) == 0) singly->total += count;
    }
    return 0;
}

// A fault maps the 64 KiB around it as well, except where a userfaultfd watches for writes.
// WP_ASYNC (Linux 6.7) lets any mapping be watched, and the kernel settle the writes itself; here
// there are none. Where that is not to be had, memory stays as it was.
static void map_code_singly(void) {
    struct singly singly = {
        .descriptor = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY)};
    if (singly.descriptor < 0) return;
    struct uffdio_api api = {.api = UFFD_API, .features = WP_ASYNC};
    if (ioctl(singly.descriptor, UFFDIO_API, &api) == 0) {
        dl_iterate_phdr(map_object_singly, &singly);
    }
    // The kernel goes on for as long as the descriptor is open.
    if (singly.total == 0) close(singly.descriptor);
}

size_t martlet_release_code(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, map_code_singly);
    size_t total = 0;
    dl_iterate_phdr(release_object, &total);
    return total;
}
