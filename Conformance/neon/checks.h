// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// Every kernel of a level beside its reference, for machines that only an emulator stands for.
#ifndef MARTLET_CHECKS_H
#define MARTLET_CHECKS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CMartletKernels.h"

/// n random floats in -1 ... 1 (kept until the program ends).
float *floats(int64_t n);
/// n values between fences that show a write out of bounds, all 0.25.
float *output(int64_t n);
/// Aligned room for packed weights and scratch.
void *room(size_t bytes);
/// Random bytes.
uint8_t *bytes(int64_t n);
int64_t below(int64_t bound);

/// Begins a check; its name is told where it fails.
__attribute__((format(printf, 1, 2))) void check(const char *name, ...);
/// Differences relative to 1 + |wanted| up to tolerance, and fences that stand.
void same(const float *got, const float *wanted, int64_t n, float tolerance);
/// Equal bytes.
void equal(const void *got, const void *wanted, int64_t n);
void holds(int condition);

/// The level under test, and the reference.
void fast(void);
void plain(void);

void check_products(void);
void check_narrow_products(void);
void check_images(void);
void check_rows(void);
void check_elements(void);

#endif
