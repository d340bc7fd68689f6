// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef CMARTLET_Platform_H
#define CMARTLET_Platform_H

#include <stddef.h>

// Writes the system's text for an errno value, always NUL-terminated; safe on any thread.
void martlet_error_text(int number, char *text, size_t capacity);

// pipe2 with both ends close-on-exec and non-blocking; 0, or the errno value.
int martlet_wake_pipe(int ends[2]);

#endif
