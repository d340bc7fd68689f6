// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#ifndef MARTLET_PEAK_H
#define MARTLET_PEAK_H

#include <stdint.h>

/// Multiplies and adds in registers, `rounds` times sixteen vectors of the level in use, and
/// returns the number of floating-point operations done: what a thread does at best when nothing
/// waits.
double martlet_peak_f32(int64_t rounds);

#endif
