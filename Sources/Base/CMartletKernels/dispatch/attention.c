// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

#include "internal.h"

size_t martlet_attention_f32_scratch_bytes(
    const martlet_attention_f32_args *args, int32_t threads) {
    (void)args, (void)threads;
    return 64;
}

void martlet_attention_f32(
    const martlet_attention_f32_args *args, void *scratch, int32_t threads) {
    (void)scratch, (void)threads;
    martlet_attention_f32_reference(args);
}
