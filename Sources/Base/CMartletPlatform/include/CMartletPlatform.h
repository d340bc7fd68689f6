// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef CMARTLET_Platform_H
#define CMARTLET_Platform_H

#include <stddef.h>

// Keeps the processor busy, politely, for about count times 40 nanoseconds.
static inline void martlet_spin(int count) {
    for (int i = 0; i < count; i++) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
}

// Writes the system's text for an errno value, always NUL-terminated; safe on any thread.
void martlet_error_text(int number, char *text, size_t capacity);

// pipe2 with both ends close-on-exec and non-blocking; 0, or the errno value.
int martlet_wake_pipe(int ends[2]);

// Unmaps the pages of the program and its libraries that are only read, code above all; those that
// are used again come back from the file cache. Returns the bytes that these parts have.
size_t martlet_release_code(void);

#endif
