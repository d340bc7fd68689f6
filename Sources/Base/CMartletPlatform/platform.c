// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#define _GNU_SOURCE
#include "CMartletPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void martlet_error_text(int number, char *text, size_t capacity) {
    if (capacity == 0) return;
    char buffer[256];
    // glibc's form answers a pointer that may or may not be the buffer.
    const char *message = strerror_r(number, buffer, sizeof buffer);
    snprintf(text, capacity, "%s", message);
}

int martlet_wake_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 ? 0 : errno; }
