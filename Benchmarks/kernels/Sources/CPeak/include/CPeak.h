// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef CPEAK_H
#define CPEAK_H

#include <stdint.h>

/// Runs n steps of 16 independent multiply-adds on the widest registers of the machine (512 bits if
/// wide is not 0, else 256) and returns the floating-point operations done; 0 if it has no such.
double martlet_peak_run(int32_t wide, int64_t n);

#endif
